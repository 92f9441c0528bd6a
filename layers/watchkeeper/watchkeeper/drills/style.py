"""The style of a drill's page: light, dark and on paper. Its colours keep a contrast of at least
4.5 to 1 for text (WCAG 2.2, 1.4.3) and 3 to 1 for figures (1.4.11).
"""

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--wash:#f4f6f8;--ink:#1c2126;--soft:#565f69;\
--line:#d3d9df;--good:#17693a;--bad:#a3221c;--bar:#3c6e9f;--calm:#6f8598}
@media (prefers-color-scheme:dark){:root{--paper:#14181c;--wash:#1d2328;--ink:#e4e8ec;\
--soft:#a2acb6;--line:#39424b;--good:#6fcb95;--bad:#ff9188;--bar:#7fb0de;--calm:#6b7f93}}
@media print{:root{color-scheme:light;--paper:#fff;--wash:#fff;--ink:#000;--soft:#444;\
--line:#999;--good:#17693a;--bad:#a3221c;--bar:#3c6e9f;--calm:#6f8598}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);\
font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;\
font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
main{max-width:54rem;margin:0 auto;padding:2rem 1.25rem 4rem}
header{border-left:.375rem solid currentColor;padding-left:1.25rem}
header.passed{border-color:var(--good)}
header.failed{border-color:var(--bad)}
h1,h2,h3,p{margin:0}
h1{display:flex;align-items:center;gap:.5rem;font-size:2.25rem;line-height:1.2;margin:.125rem 0}
.passed h1{color:var(--good)}
.failed h1{color:var(--bad)}
h2{font-size:1.125rem;margin:2.5rem 0 .75rem;padding-top:.75rem;border-top:1px solid var(--line)}
h3{font-size:.875rem;font-weight:600;color:var(--soft)}
p+p,p+ul,ul+p,p+.frame{margin-top:.5rem}
.frame+p{margin-top:1.5rem}
.kicker,.why,caption{font-size:.875rem;color:var(--soft);font-weight:400}
.lead{font-size:1.125rem}
.failure{color:var(--bad);font-weight:600}
.good{color:var(--good)}
.bad{color:var(--bad)}
.big{font-size:1.75rem;line-height:1.3}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(16rem,1fr));gap:1.5rem 2.5rem}
.frame{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9375rem}
caption{text-align:left;padding-bottom:.25rem}
th,td{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;\
border-bottom:1px solid var(--line);min-width:5rem}
thead th{font-size:.875rem;font-weight:600;color:var(--soft);white-space:nowrap}
tbody th{font-weight:400;min-width:11rem}
dl{display:grid;grid-template-columns:minmax(7rem,auto) 1fr;gap:.375rem 1.25rem;margin:0}
dt{color:var(--soft)}
dd{margin:0;min-width:0}
ul{margin:0;padding-left:1.25rem}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.875rem}
pre{margin:.75rem 0;padding:.75rem 1rem;background:var(--wash);border:1px solid var(--line);\
white-space:pre-wrap}
time{white-space:nowrap}
.verdict{display:inline-flex;align-items:center;gap:.375rem;white-space:nowrap}
.shapes{position:absolute;width:0;height:0}
.shape{width:1em;height:1em;flex:none;fill:var(--bad)}
.shape.passed{fill:var(--good)}
.mark{fill:none;stroke:var(--paper);stroke-width:1.75;stroke-linecap:round;stroke-linejoin:round}
.timeline{display:block;width:100%;min-width:34rem;margin-bottom:1rem;font-size:13px}
.timeline text{fill:var(--ink)}
.timeline .end{text-anchor:end}
.gauge{display:block;width:100%;max-width:20rem;margin:.5rem 0}
.track{fill:var(--wash);stroke:var(--line)}
.bar{fill:var(--bar)}
.over{fill:var(--bad)}
.torn_down{fill:var(--calm)}
.axis{stroke:var(--line)}
.limit{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:4 3}
.gauge .limit{stroke-width:2;stroke-dasharray:none}
.lines{margin-top:.75rem}
.lines td{height:3.5rem}
.lines hr{border:0;border-bottom:1px solid var(--line);margin:2.25rem 0 0}
@page{margin:18mm 16mm}
@media print{body{font-size:10pt;print-color-adjust:exact;-webkit-print-color-adjust:exact}\
main{max-width:none;padding:0}h2{margin-top:1.5rem;break-after:avoid}\
tr,.pair,.timeline,pre,header,dl,.lines,section:last-child{break-inside:avoid}.frame{overflow:visible}}
"""
