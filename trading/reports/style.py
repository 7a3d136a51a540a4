"""The look of every page, light and dark, without a font or file from elsewhere."""

CSS = """
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b1f24;--muted:#5b6570;
  --line:#dfe3e8;--link:#1557a0;--good:#146c3c;--bad:#a8201a;--warn:#7a4b00;--warnbg:#ffe7b3;
  --warnline:#d89b1d;--goodbg:#dcf3e5;--badbg:#fbe1df;--softbg:#eceff3}
@media(prefers-color-scheme:dark){:root{--bg:#14171b;--card:#1d2126;--ink:#e8ebee;--muted:#a0a9b3;
  --line:#343a42;--link:#7db6f5;--good:#6fd39b;--bad:#ff9a92;--warn:#ffd58a;--warnbg:#4a3605;
  --warnline:#8a6a1a;--goodbg:#173a27;--badbg:#4a1f1c;--softbg:#2a3038}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);
  font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
.banner{background:var(--warnbg);color:var(--warn);border-bottom:1px solid var(--warnline);
  padding:.5rem 1rem;text-align:center;font-weight:700}
main{max-width:76rem;margin:0 auto;padding:1.25rem 1rem 3rem}
h1{font-size:1.5rem;margin:.2rem 0 .3rem}
h2{font-size:1.1rem;margin:2rem 0 .6rem}
h3{font-size:1rem;margin:0 0 .4rem}
p{margin:.3rem 0}
.muted{color:var(--muted)}
a{color:var(--link)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;
  margin:1rem 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem}
.tile b{display:block;font-size:1.25rem;font-variant-numeric:tabular-nums}
.tile span{color:var(--muted);font-size:.85rem}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.5rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{padding:.35rem .7rem;text-align:left;vertical-align:top;border-top:1px solid var(--line)}
thead th{border-top:0;color:var(--muted);font-weight:600;white-space:nowrap}
td.num,th.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.wide{min-width:11rem}
td small{display:block;color:var(--muted)}
td.id{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.82rem;white-space:nowrap}
tr.same td:first-child{border-top-color:transparent}
.good{color:var(--good)}
.bad{color:var(--bad)}
.pill{display:inline-block;border-radius:1rem;padding:0 .55rem;font-size:.8rem;font-weight:600;
  white-space:nowrap;background:var(--softbg);color:var(--muted)}
.pill.good{background:var(--goodbg);color:var(--good)}
.pill.bad{background:var(--badbg);color:var(--bad)}
.pill.warn{background:var(--warnbg);color:var(--warn)}
.card{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.8rem 1rem;
  margin:.6rem 0}
.card .scroll{border:0;border-radius:0;margin-top:.5rem}
code{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.85em;
  background:var(--softbg);border-radius:.25rem;padding:.05rem .3rem;overflow-wrap:anywhere}
.pictures{margin:.8rem
0;display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:.8rem}
  img{max-width:100%;height:auto;display:block;background:#fff;border:1px solid var(--line);
  border-radius:.5rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:0;font-size:.88rem}
dt{color:var(--muted)}
dd{margin:0;overflow-wrap:anywhere}
"""
