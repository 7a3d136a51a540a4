/* model
name: decision_figures
kind: view
owner: team:trading-platform
grain: variant, session
description: Promotion decisions of a variant in a session; a variant that moves up and down again in one session or has
  many decisions is not judged by one set of evidence.
depends_on: promotion_decision, judged
*/
SELECT
    variant,
    session,
    count(*) AS decisions,
    count(DISTINCT strategy_version) AS versions
FROM promotion_decision
WHERE session IN (SELECT session FROM judged)
GROUP BY variant, session
