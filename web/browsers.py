"""What a browser says of itself, as people say it: *Firefox on Linux*."""

from flask_babel import gettext as _

# The first that is found is meant: Edge and Opera also call themselves Chrome, Chrome also Safari,
# and every one of them Mozilla. Browsers on iOS name themselves in their own way.
_BROWSERS = (
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("YaBrowser/", "Yandex Browser"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
# An iPad and Android say Mac OS X and Linux as well.
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def browser_and_system(user_agent: str) -> tuple[str, str]:
    """Their names, each empty where it is not known (RFC 9110, section 10.1.5)."""
    return _first(_BROWSERS, user_agent), _first(_SYSTEMS, user_agent)


def browser(user_agent: str) -> str:
    """In the language of whoever looks; a program that is no browser is called as it says."""
    name, system = browser_and_system(user_agent)
    if name and system:
        return _("%(browser)s on %(system)s", browser=name, system=system)
    return name or system or user_agent.split("/")[0].strip() or _("unknown")


def _first(names: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for mark, name in names if mark in user_agent), "")
