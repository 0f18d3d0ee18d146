"""How the page looks: by day and by night, on a phone and on a desk."""

from __future__ import annotations

# One hue per method; a chart that has more of them goes on with dashes.
HUES = 6

CSS = """
:root{--paper:#fbfaf8;--card:#fff;--ink:#1d1d22;--faint:#62626b;--rule:#e1dfda;--accent:#2461b4;
--right:#1c7c41;--wrong:#b3342d;--shade:rgba(0,0,0,.22);
--c0:#6d6d76;--c1:#2a78d6;--c2:#a2630a;--c3:#12875e;--c4:#c2385c;--c5:#6a4bc4}
@media(prefers-color-scheme:dark){:root{--paper:#141417;--card:#1d1d21;--ink:#ececee;
--faint:#a5a5ae;--rule:#34343b;--accent:#86b5f5;--right:#5cc486;--wrong:#f08a82;--shade:rgba(0,0,0,.7);
--c0:#a8a8b2;--c1:#6aa5f0;--c2:#e0a43c;--c3:#4ec296;--c4:#f0849f;--c5:#ae98f5}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);overflow-wrap:anywhere;
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
header,main{max-width:1200px;margin:0 auto;padding:0 16px}
header{padding-top:28px}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 6px}
h2{font-size:1.25rem;margin:0 0 8px}
h3{font-size:1rem;margin:18px 0 6px}
p{margin:0 0 10px;max-width:76ch}
.faint,.caption,figcaption{color:var(--faint);font-size:.9rem}
nav{display:flex;flex-wrap:wrap;gap:6px 18px;margin:14px 0 4px}
a{color:var(--accent)}
section{background:var(--card);border:1px solid var(--rule);border-radius:10px;
padding:18px;margin:16px 0}
.caption{margin:0 0 4px}
.scroll{overflow-x:auto;max-width:100%;margin-bottom:16px;
/* A shadow at the edge beyond which there is more. */
background:linear-gradient(90deg,var(--card) 40%,transparent) 0 0/32px 100%,
linear-gradient(270deg,var(--card) 40%,transparent) 100% 0/32px 100%,
linear-gradient(90deg,var(--shade),transparent) 0 0/14px 100%,
linear-gradient(270deg,var(--shade),transparent) 100% 0/14px 100%;
background-repeat:no-repeat;background-attachment:local,local,scroll,scroll}
.scroll:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.92rem;min-width:100%}
th,td{padding:5px 6px;border-bottom:1px solid var(--rule);text-align:right;
white-space:nowrap;overflow-wrap:normal}
th{font-weight:600;vertical-align:bottom;white-space:normal}
tbody th,th.label{text-align:left}
tbody th{font-weight:500}
td.theirs{color:var(--faint)}
.charts{display:grid;gap:18px;grid-template-columns:repeat(auto-fit,minmax(min(100%,320px),1fr))}
figure{margin:0;min-width:0;max-width:480px}
svg{display:block;width:100%;height:auto}
svg text{fill:var(--faint);font-size:12px;font-family:inherit}
svg .word{fill:var(--ink)}
svg .rule{stroke:var(--rule);stroke-width:1}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;padding:0;margin:0 0 10px;
font-size:.9rem}
.legend svg{display:inline-block;width:30px;height:12px;vertical-align:middle;margin-right:6px}
.strip{display:grid;grid-template-columns:repeat(auto-fill,minmax(130px,1fr));gap:8px;
margin:6px 0 20px}
.strip figure{border:2px solid var(--rule);border-radius:6px;overflow:hidden;font-size:.82rem}
.strip figcaption{padding:4px 7px;font-size:.82rem;line-height:1.35}
.strip img{display:block;width:100%;height:auto;aspect-ratio:4/3;object-fit:cover}
.strip .right{border-color:var(--right)}.strip .right b{color:var(--right)}
.strip .wrong{border-color:var(--wrong)}.strip .wrong b{color:var(--wrong)}
dl{display:grid;grid-template-columns:minmax(90px,max-content) minmax(0,1fr);gap:4px 16px;margin:0}
dt{color:var(--faint)}dd{margin:0}
pre{overflow-x:auto;font-size:.82rem;max-height:420px;margin:8px 0 0}
summary{cursor:pointer;margin-top:12px}
@media(max-width:480px){section{padding:14px 12px}header,main{padding-left:10px;padding-right:10px}
/* So that a number, too, is seen beside what a row is. */
th.label,tbody th{min-width:5.2em;max-width:6.2em}}
@media print{section{break-inside:avoid-page}}
"""
