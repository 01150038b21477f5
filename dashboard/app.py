"""Entry point of the dashboard: routes and navigation.

`streamlit run` finds and serves ``app`` in this file; each rerun executes the file as a script.
"""

from __future__ import annotations

import sys
from pathlib import Path

# `streamlit run dashboard/app.py` puts dashboard/ on the path; `engine` needs its parent folder.
if (root := str(Path(__file__).resolve().parents[1])) not in sys.path:
    sys.path.insert(0, root)

import streamlit as st  # noqa: E402

from dashboard import security  # noqa: E402
from dashboard.server.preload import preloaded  # noqa: E402

PAGES = {  # folder in views/: its icon
    "overview": "grid_view",
    "errors": "image_search",
    "map": "scatter_plot",
    "clip": "tune",
    "compare": "compare_arrows",
    "submit": "upload_file",
    "train": "model_training",
}

if __name__ == "__main__":
    from dashboard import shell  # a second of imports, for which the document does not wait

    # The default page has only the address /; a hidden one keeps /overview a valid address.
    home = st.Page(shell.home, title="Home", default=True, visibility="hidden")
    pages = [
        st.Page(
            f"views/{name}/page.py", url_path=name, title=name.capitalize(),
            icon=f":material/{icon}:",
        )
        for name, icon in PAGES.items()
    ]  # fmt: skip
    shell.show([home, *pages])
else:
    app = st.App(Path(__file__).resolve(), middleware=security.guards(), lifespan=preloaded)
