"""Small tables and lists for Clip, Submit and Train; all text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from dashboard.shared.escape import literal_html

_STYLE = """<style>
.stHeading h3 {padding-bottom: 8px !important;}
.sl-figures {display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 22px;}
.sl-figures .big {font-size: 2.3rem; font-weight: 560; letter-spacing: -.02em; line-height: 1.15;}
.sl-figures .was {font-size: 1.5rem; opacity: .6;}
.sl-figures .arrow {font-size: 1.5rem; opacity: .5;}
.sl-figures .gain {font-weight: 600;}
.sl-dim {opacity: .68; font-size: .88rem;}
.sl-table {border-collapse: collapse; width: 100%; font-size: .93rem;}
.sl-table th {font-weight: 500; opacity: .68; font-size: .85rem; text-align: right;
  padding: 4px 0 6px 12px;}
.sl-table td {text-align: right; padding: 7px 0 7px 12px;
  border-top: 1px solid color-mix(in srgb, currentColor 15%, transparent); overflow-wrap: anywhere;}
.sl-table th:first-child, .sl-table td:first-child {text-align: left; padding-left: 0;}
.sl-table td:first-child {min-width: 4.6em;}
@media (max-width: 640px) {
  .sl-table th:not(:first-child), .sl-table td:not(:first-child) {padding-left: 5px;}
}
.sl-table small {opacity: .62; font-size: .8rem;}
.sl-whole td + td {white-space: nowrap;}
@media (max-width: 640px) {.sl-whole td + td small {display: block;}}
.sl-text {line-height: 1.5; max-width: 46rem;}
.sl-text p {margin: 0 0 .5rem;}
.sl-checks {list-style: none; margin: 8px 0 0 !important; padding: 0 !important;}
.sl-checks li {display: grid; grid-template-columns: 22px 1fr; gap: 10px; padding: 9px 0;
  margin: 0 !important; border-top: 1px solid color-mix(in srgb, currentColor 15%, transparent);}
.sl-checks li:first-child {border-top: 0; padding-top: 0;}
.sl-checks .sign {width: 21px; height: 21px; margin-top: 1px; border-radius: 50%; font-size: 12px;
  line-height: 19px; text-align: center; border: 1px solid currentColor; font-weight: 700;}
.sl-checks .failed .sign {border-radius: 4px; background: var(--sl-accent); color: #fff;
  border-color: var(--sl-accent);}
.sl-checks .flagged .sign {border-radius: 4px; color: var(--sl-accent);}
.sl-state.bad {color: var(--sl-accent);}
.sl-checks b {font-weight: 600;}
.sl-checks p {margin: 1px 0 0; overflow-wrap: anywhere; line-height: 1.45; opacity: .8;
  font-size: .93rem;}
.sl-grid {display: grid; gap: 0 8px; overflow: hidden; grid-auto-rows: 0;
  grid-template: repeat(3, auto) / repeat(auto-fill, minmax(104px, 1fr));}
.sl-grid figure {margin: 0; min-width: 0; padding-bottom: 9px; overflow: hidden;}
@media (max-width: 640px) {.sl-grid {
  grid-template: repeat(4, auto) / repeat(3, minmax(0, 1fr));}}
.sl-grid img, .sl-grid .lost {width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 6px;
  display: block; background: color-mix(in srgb, currentColor 8%, transparent);}
.sl-grid figcaption {font-size: .8rem; opacity: .75; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; margin-top: 3px;}
.sl-steps {display: flex; flex-wrap: wrap; gap: 4px 8px; font-size: .88rem; margin: 4px 0 10px;}
.sl-steps span {opacity: .45;}
.sl-steps .past {opacity: .75;}
.sl-steps .now {opacity: 1; font-weight: 600;}
.sl-steps i {opacity: .3; font-style: normal;}
.sl-bar {height: 8px; border-radius: 4px; overflow: hidden;
  background: color-mix(in srgb, currentColor 12%, transparent);}
.sl-bar div {height: 100%; border-radius: 4px; background: var(--sl-accent);
  transition: width .6s linear;}
.sl-row {display: flex; flex-wrap: wrap; gap: 2px 18px; justify-content: space-between;
  font-size: .93rem; margin-top: 8px; min-height: 1.5em;}
.sl-state {font-weight: 600;}
.sl-log {font: .8rem/1.5 var(--st-code-font, monospace); white-space: pre-wrap;
  overflow-wrap: anywhere; margin: 8px 0 0; padding: 10px 12px; border-radius: 6px;
  background: color-mix(in srgb, currentColor 6%, transparent); max-height: 15rem; overflow: auto;}
.sl-name {font-weight: 600; overflow-wrap: anywhere;}
:root {--sl-accent: #c4573c;}
</style>"""


def styled(html: str, width: Literal["stretch", "content"] = "stretch") -> None:
    """Show HTML from this module and from the pages."""
    st.html(_STYLE + html, width=width)


def no_run(purpose: str) -> None:
    """Show that there is no finished run, with a link to the Train page."""
    st.write(f"There is no finished run yet. Fit a model first, then {purpose} here.")
    st.page_link("views/train/page.py", label="Go to Train", icon=":material/model_training:")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a small table; the first column holds text, the others figures."""
    titles = "".join(f"<th>{literal_html(title)}</th>" for title in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{literal_html(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<table class="sl-table"><tr>{titles}</tr>{body}</table>'
