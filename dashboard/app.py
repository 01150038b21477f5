"""The frame around every page: settings, navigation and the run picker.

`streamlit run` finds ``app`` in here and serves it; each rerun executes this same file as a script.
"""

from __future__ import annotations

import sys
from pathlib import Path

# `streamlit run dashboard/app.py` puts dashboard/ on the path; `engine` lies beside it.
if (root := str(Path(__file__).resolve().parents[1])) not in sys.path:
    sys.path.insert(0, root)

import streamlit as st  # noqa: E402

from dashboard import door, frame  # noqa: E402

if __name__ == "__main__":
    frame.show(
        [
            # The default page answers at / alone; a hidden one in its place keeps /overview a
            # good link.
            st.Page(frame.home, title="Home", default=True, visibility="hidden"),
            st.Page("views/overview.py", title="Overview", icon=":material/grid_view:"),
            st.Page("views/errors.py", title="Errors", icon=":material/image_search:"),
            st.Page("views/map.py", title="Map", icon=":material/scatter_plot:"),
            st.Page("views/clip.py", title="Clip", icon=":material/tune:"),
            st.Page("views/compare.py", title="Compare", icon=":material/compare_arrows:"),
            st.Page("views/submit.py", title="Submit", icon=":material/upload_file:"),
            st.Page("views/train.py", title="Train", icon=":material/model_training:"),
        ]
    )
else:
    app = st.App(Path(__file__).resolve(), middleware=door.guards())
