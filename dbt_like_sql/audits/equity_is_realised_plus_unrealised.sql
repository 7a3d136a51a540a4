/* audit
name: equity_is_realised_plus_unrealised
model: portfolio_daily
severity: error
description: equity must be realised plus unrealised, to the cent
*/
SELECT account, session, realised, unrealised, equity
FROM portfolio_daily
WHERE abs(equity - realised - unrealised) >= 0.005
