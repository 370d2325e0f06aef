"""The style sheet of the pages for people: readable on a telephone and in the dark, without a byte from elsewhere."""

from __future__ import annotations

STYLE = b"""\
:root { color-scheme: light dark; --line: #8885; --soft: #8882; }
* { box-sizing: border-box; }
body { font: 1rem/1.55 system-ui, sans-serif; max-width: 58rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
h1, h2 { overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 1.5rem 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
p, li { max-width: 44rem; }
a { text-underline-offset: .15em; }
.lead { font-size: 1.1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; }
.day { white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; padding-right: 2rem; }
td.number:last-child, th.number:last-child { padding-right: 0; }
pre { background: var(--soft); padding: .75rem 1rem; border-radius: .4rem; overflow-x: auto; font-size: .875rem; }
code { font-size: .9em; overflow-wrap: anywhere; }
pre code { overflow-wrap: normal; }
.notice { border-left: .25rem solid #c60; padding: .25rem .9rem; background: var(--soft); }
"""
