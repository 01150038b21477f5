"""Dependencies point one way, and torch and Streamlit stay in their rooms."""

from __future__ import annotations

import ast

import pytest

from dashboard.server.preload import FIRST
from tests.support.modules import IMPORTS, MAY_USE, MODULES, imports, within
from tests.support.paths import ROOT

EXCEPTIONS = {
    "engine.data.import_predictions": ("engine.analysis.metrics",)
}  # scores what it imports
TORCH = ("torch", "torchvision", "safetensors")
POSIX_ONLY = {  # what Windows lacks, or has in another form
    "os": {
        "chown", "fchmod", "fork", "forkpty", "getpgid", "getuid", "kill", "killpg",
        "mkfifo", "nice", "posix_fadvise", "posix_fallocate", "pread", "pwrite",
        "sched_getaffinity", "setsid", "statvfs", "symlink", "uname", "umask",
    },
    "signal": {"SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGUSR1", "alarm", "setitimer"},
    "select": {"epoll", "poll", "select"},  # of pipes
}  # fmt: skip
POSIX_MODULES = ("fcntl", "grp", "pwd", "resource", "termios", "tty")
ONLY_WITH_TORCH = ("engine.model", "engine.data.images", "engine.light_torchvision")


def _room(module: str) -> str | None:
    return next((room for room in MAY_USE if within(module, (room,))), None)


def test_the_rooms_are_read():
    rooms = {_room(name) for name in MODULES} - {None}
    assert rooms == MAY_USE.keys()
    assert "torch" in IMPORTS["engine.model.features"]
    assert any(within(name, ("streamlit",)) for name in IMPORTS["dashboard.app"])


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("engine")])
def test_the_engine_knows_no_dashboard(name):
    assert not {i for i in IMPORTS[name] if within(i, ("streamlit", "plotly", "dashboard"))}


def _page(module: str) -> str | None:
    """Return the page in whose folder a module lies."""
    parts = module.split(".")
    return parts[2] if parts[:2] == ["dashboard", "views"] and len(parts) > 2 else None


PAGES = sorted({page for name in MODULES if (page := _page(name))})
SHARED = [
    name for name, path in MODULES.items()
    if within(name, ("dashboard",)) and not _page(name) and path.name != "__init__.py"
]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in MODULES if _page(name)])
def test_a_page_imports_nothing_of_another_page(name):
    assert {page for module in IMPORTS[name] if (page := _page(module))} <= {_page(name)}


@pytest.mark.parametrize("name", SHARED)
def test_what_lies_outside_the_pages_is_used_by_two_of_them_or_by_the_shell(name):
    users, todo, seen = set(), {name}, {name}
    while todo:
        used = todo.pop()
        for other in (each for each in MODULES if used in IMPORTS[each] and each not in seen):
            if page := _page(other):
                users.add(page)
            else:  # used by what may itself be of one page only
                seen.add(other)
                todo.add(other)
    of_all = {"dashboard.app", "dashboard.shell", "dashboard.security"}
    assert len(users) >= 2 or seen & of_all, f"{name} is of {users or 'nobody'} alone"


def test_the_pages_of_the_navigation_are_the_folders():
    tree = ast.parse(MODULES["dashboard.app"].read_text("utf-8"))
    tables = [n.value for n in tree.body if isinstance(n, ast.Assign)]
    (pages,) = [[ast.literal_eval(key) for key in t.keys] for t in tables if type(t) is ast.Dict]
    assert len(PAGES) == 7 and sorted(pages) == PAGES
    assert all((ROOT / "dashboard" / "views" / page / "page.py").is_file() for page in PAGES)


@pytest.mark.parametrize("name", [name for name in MODULES if not within(name, ONLY_WITH_TORCH)])
def test_torch_stays_in_its_room(name):
    assert not {i for i in IMPORTS[name] if within(i, TORCH)}


@pytest.mark.parametrize("name", [name for name in MODULES if _room(name)])
def test_dependencies_point_one_way(name):
    room = _room(name)
    others = {i for i in IMPORTS[name] if not within(i, EXCEPTIONS.get(name, ()))}
    used = {_room(module) for module in others} - {None, room}
    assert used <= MAY_USE[room or ""]


@pytest.mark.parametrize("name", MODULES)
def test_no_module_of_ours_goes_by_the_public_names(name):
    """They could reach torch unseen; what a module uses it imports from where it lies."""
    for node in ast.walk(ast.parse(MODULES[name].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            assert "engine" not in [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom) and node.module == "engine":
            names = {alias.name for alias in node.names} - {"__version__"}
            assert {f"engine.{each}" for each in names} <= MODULES.keys()


def _reached(start: str) -> set[str]:
    """Return every module of ours that importing ``start`` may import, however indirectly."""
    seen: set[str] = set()
    todo = {start}
    while todo:
        name = todo.pop()
        seen.add(name)
        todo |= {module for module in IMPORTS[name] if module in MODULES} - seen
    return seen


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("dashboard")])
def test_the_dashboard_reaches_no_torch_even_indirectly(name):
    assert not {module for module in _reached(name) if within(module, ONLY_WITH_TORCH)}


def test_the_command_line_imports_torch_only_when_a_command_needs_it():
    seen, todo, others = set(), {"engine.cli.main"}, set()
    while todo:
        seen.add(name := todo.pop())
        imported = {module for module in _imported_at_start(name) if module in MODULES}
        todo |= {module for module in imported if within(module, ("engine.cli",))} - seen
        others |= imported - todo - seen
    reached = set().union(*map(_reached, others))
    assert not {module for module in reached if within(module, ONLY_WITH_TORCH)}


def _imported_at_start(name: str) -> set[str]:
    """Return what a module imports outside its functions."""
    body = ast.parse(MODULES[name].read_text("utf-8")).body
    found = {alias.name for node in body if isinstance(node, ast.Import) for alias in node.names}
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_the_server_answers_before_it_imports_what_a_page_needs():
    seen, todo, others = set(), {"dashboard.app"}, set()
    while todo:
        seen.add(name := todo.pop())
        others |= (imported := _imported_at_start(name))
        todo |= (imported & MODULES.keys()) - seen
    assert "dashboard.server.originals" in seen
    assert not {module for module in others if within(module, ("numpy", "pandas", "pyarrow"))}
    assert set(FIRST) <= MODULES.keys()


@pytest.mark.parametrize("name", [name for name in MODULES if name != "engine.portable"])
def test_only_one_module_knows_the_operating_system(name):
    assert not {i for i in IMPORTS[name] if within(i, POSIX_MODULES)}
    tree = ast.parse(MODULES[name].read_text("utf-8"))
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not {f"{module}.{each}" for module, names in POSIX_ONLY.items() for each in names} & used
    keywords = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    assert not {"start_new_session", "preexec_fn", "process_group"} & keywords
    texts = {
        node.value for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }  # fmt: skip
    assert not {text for text in texts if text.startswith(("/proc/", "/dev/", "/tmp"))}


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.stem)
def test_tests_find_their_helpers_in_support(path):
    own = {module for module in imports(path) if within(module, ("tests",))} - {"tests"}
    shared = ("tests.support", "tests.benchmarks")
    assert not {module for module in own if not within(module, shared)}


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is_for(name):
    path = MODULES[name]
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert docstring and docstring.splitlines()[0].endswith((".", "!", "?"))


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("engine")])
def test_nothing_is_pickled(name):
    assert not {i for i in IMPORTS[name] if within(i, ("pickle", "joblib", "dill", "shelve"))}
    calls = [
        node for node in ast.walk(ast.parse(MODULES[name].read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "torch.save")
    ]  # fmt: skip
    for call in calls:
        assert ast.unparse(call.func) == "torch.load"
        safe = [keyword for keyword in call.keywords if keyword.arg == "weights_only"]
        assert safe and ast.unparse(safe[0].value) == "True"
