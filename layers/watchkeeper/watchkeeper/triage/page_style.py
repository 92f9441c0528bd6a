"""The style of an incident's page: light, dark, on paper and on a telephone. Its colours keep a
contrast of at least 4.5 to 1 for text (WCAG 2.2, 1.4.3) and 3 to 1 for figures (1.4.11).
"""

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--wash:#f4f6f8;--ink:#1c2126;--soft:#565f69;\
--line:#d3d9df;--good:#17693a;--bad:#a3221c;--warn:#8a5200;--bar:#2f6699}
@media (prefers-color-scheme:dark){:root{--paper:#14181c;--wash:#1d2328;--ink:#e4e8ec;\
--soft:#a2acb6;--line:#39424b;--good:#6fcb95;--bad:#ff9188;--warn:#f0b35c;--bar:#7fb0de}}
@media print{:root{color-scheme:light;--paper:#fff;--wash:#fff;--ink:#000;--soft:#444;\
--line:#999;--good:#17693a;--bad:#a3221c;--warn:#8a5200;--bar:#2f6699}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);\
font:1rem/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;\
font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
main{max-width:60rem;margin:0 auto;padding:1rem 1rem 4rem}
h1,h2,h3,p,ul,ol,dl,dd,figure{margin:0}
h1{font-size:1.25rem;line-height:1.3;font-weight:650;margin:.25rem 0 .375rem}
h2{font-size:1.125rem;margin:2rem 0 .625rem;padding-top:.75rem;border-top:1px solid var(--line)}
h3{font-size:.875rem;font-weight:600;color:var(--soft);margin:1rem 0 .375rem}
header{border-left:.375rem solid var(--warn);padding-left:.875rem}
header.critical,header.high{border-color:var(--bad)}
header.informational,header.low{border-color:var(--bar)}
.kicker,.why,.meta,figcaption{font-size:.875rem;color:var(--soft)}
.word{color:var(--warn);font-weight:700;text-transform:uppercase;letter-spacing:.03em}
.critical .word,.high .word,.word.critical,.word.high{color:var(--bad)}
.informational .word,.low .word,.word.informational,.word.low{color:var(--bar)}
.cause{margin:.875rem 0;padding:.75rem .875rem;background:var(--wash);border:1px solid var(--line);\
border-radius:.5rem}
.cause .lead{font-size:1.0625rem;font-weight:600}
.cause h2{margin:0 0 .125rem;padding:0;border:0;font-size:.875rem;color:var(--soft)}
.cause h3{margin:.75rem 0 .125rem}
.cause ol{padding-left:1.25rem}
.cause li+li{margin-top:.25rem}
.brief{display:grid;grid-template-columns:max-content 1fr;gap:.25rem .875rem;font-size:.9375rem}
dt{color:var(--soft)}
dd{min-width:0}
.facts{display:grid;grid-template-columns:minmax(6rem,max-content) 1fr;gap:.375rem 1rem}
.claims,.plain,.moments,.tree,.tree ul{list-style:none;padding:0}
.claims>li{padding:.5rem 0;border-top:1px solid var(--line)}
.claims>li:first-child{border-top:0;padding-top:0}
.plain li{padding:.1875rem 0 .1875rem 1.125rem;text-indent:-1.125rem}
.plain li::before{content:"–";display:inline-block;width:1.125rem;text-indent:0;color:var(--soft)}
.gaps li::before{content:"?";color:var(--warn);font-weight:700}
.meta a+a,.meta *+a{margin-left:.75rem}
a{color:var(--bar)}
details{margin-top:.25rem}
summary{cursor:pointer;font-size:.875rem;color:var(--soft)}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.8125rem}
pre{margin:.375rem 0 0;padding:.5rem .625rem;background:var(--wash);border:1px solid var(--line);\
border-radius:.25rem;white-space:pre-wrap;unicode-bidi:plaintext;max-height:24rem;overflow:auto}
time{white-space:nowrap}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(18rem,100%),1fr));gap:1.25rem}
figcaption{display:flex;justify-content:space-between;gap:.75rem;color:var(--ink);\
padding-bottom:.25rem}
figcaption span:last-child{color:var(--soft);white-space:nowrap}
.chart,.lanes{display:block;width:100%;height:auto;font-size:11px}
.chart text,.lanes text{fill:var(--soft)}
.curve{fill:none;stroke:var(--bar);stroke-width:1.5;stroke-linejoin:round}
.axis{stroke:var(--line);fill:none}
.since{stroke:var(--soft);stroke-dasharray:2 3}
.limit{stroke:var(--warn);stroke-width:1.25;stroke-dasharray:5 3}
.chart .limit-word{fill:var(--warn)}
.odd{fill:var(--bad);stroke:var(--paper);stroke-width:1}
.end{text-anchor:end}
.middle{text-anchor:middle}
.frame{overflow-x:auto;margin-bottom:.75rem}
.lanes{min-width:34rem}
.dot{fill:var(--bar);stroke:var(--paper)}
.dot.alarm,.dot.suspicious{fill:var(--bad)}
.dot.change,.dot.silence{fill:var(--warn)}
.moments li{display:grid;grid-template-columns:4.25rem 6rem 1fr;gap:.25rem .625rem;\
padding:.25rem 0;border-top:1px solid var(--line);font-size:.9375rem}
.moments .onset{display:block;color:var(--soft);font-size:.8125rem;\
border-top:2px dashed var(--soft)}
.mark{font-size:.8125rem;font-weight:600;color:var(--bar)}
.mark.alarm,.mark.suspicious{color:var(--bad)}
.mark.change,.mark.silence{color:var(--warn)}
.tree ul{padding-left:1rem;border-left:1px solid var(--line);margin-left:.25rem}
.tree li{padding:.125rem 0}
.calm{color:var(--good)}
.cause ol+p{margin-top:.5rem}
dl+p{margin-top:.75rem}
@media (max-width:34rem){.moments li{grid-template-columns:4.25rem 1fr}\
.moments li span:last-child{grid-column:1/-1}.brief{grid-template-columns:1fr;gap:0}\
.brief dd{margin-bottom:.375rem}.facts{grid-template-columns:1fr;gap:0}\
.facts dd{margin-bottom:.5rem}}
@media (min-width:48rem){main{padding:2rem 1.5rem 4rem}h1{font-size:1.5rem}}
@page{margin:16mm 14mm}
@media print{body{font-size:9.5pt;print-color-adjust:exact;-webkit-print-color-adjust:exact}\
main{max-width:none;padding:0}h2{margin-top:1.25rem;break-after:avoid}\
figure,.cause,header,.moments li{break-inside:avoid}.frame{overflow:visible}\
pre{max-height:none}details::details-content{content-visibility:visible;\
display:block}a{color:inherit}}
"""
