/* audit
name: positions_give_the_unrealised
model: portfolio_daily
severity: error
description: where positions are recorded, they must give the account's unrealised profit, to the cent
*/
SELECT d.account, d.session, d.unrealised, p.unrealised AS of_positions
FROM portfolio_daily d
JOIN (SELECT account, session, sum(unrealised) AS unrealised FROM positions GROUP BY account, session) p
    ON p.account = d.account AND p.session = d.session
WHERE abs(d.unrealised - p.unrealised) >= 0.005
