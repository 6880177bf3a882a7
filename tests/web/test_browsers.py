"""What people call the browser that signed in."""

import pytest
from flask import Flask
from flask_babel import force_locale

from web.browsers import browser, browser_and_system

APPLE = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15"
IPAD = "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
LINUX = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
ANDROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko)"
CHROME = "Chrome/131.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("user_agent", "names"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
            ("Firefox", "Linux"),
        ),
        (
            "Mozilla/5.0 (Android 14; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0",
            ("Firefox", "Android"),
        ),
        (f"{LINUX} {CHROME}", ("Chrome", "Linux")),
        (f"{LINUX} HeadlessChrome/131.0.0.0 Safari/537.36", ("Chrome", "Linux")),
        (f"{ANDROID} Chrome/131.0.0.0 Mobile Safari/537.36", ("Chrome", "Android")),
        (f"{ANDROID} SamsungBrowser/27.0 {CHROME}", ("Samsung Internet", "Android")),
        (f"{ANDROID} {CHROME} EdgA/131.0", ("Edge", "Android")),
        (f"{WINDOWS} {CHROME} Edg/131.0.0.0", ("Edge", "Windows")),
        (f"{WINDOWS} {CHROME} OPR/116.0.0.0", ("Opera", "Windows")),
        (f"{WINDOWS} Chrome/130.0 YaBrowser/24.12 Safari/537.36", ("Yandex Browser", "Windows")),
        (f"{WINDOWS} {CHROME} Vivaldi/7.0", ("Vivaldi", "Windows")),
        (f"{APPLE} Version/18.1 Safari/605.1.15", ("Safari", "macOS")),
        (f"{IPHONE} Version/17.5 Mobile/15E148 Safari/604.1", ("Safari", "iPhone")),
        (f"{IPHONE} CriOS/131.0 Mobile/15E148 Safari/604.1", ("Chrome", "iPhone")),
        (f"{IPHONE} EdgiOS/131.0 Mobile/15E148 Safari/604.1", ("Edge", "iPhone")),
        (f"{IPAD} FxiOS/133.0 Mobile/15E148 Safari/605.1.15", ("Firefox", "iPad")),
        (f"{LINUX.replace('Linux', 'CrOS')} {CHROME}", ("Chrome", "ChromeOS")),
        ("curl/8.10.1", ("", "")),
        ("Mozilla/5.0 (X11; Linux x86_64)", ("", "Linux")),
        ("", ("", "")),
    ],
)
def test_a_browser_is_known_by_what_it_says(user_agent: str, names: tuple[str, str]) -> None:
    assert browser_and_system(user_agent) == names


@pytest.mark.parametrize(
    ("user_agent", "said"),
    [
        (f"{WINDOWS} {CHROME}", "Chrome on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "Linux"),
        ("Firefox/133.0", "Firefox"),
        ("curl/8.10.1", "curl"),
        ("<b>/1", "<b>"),
        (" ", "unknown"),
        ("", "unknown"),
    ],
)
def test_what_is_not_known_is_left_out(app: Flask, user_agent: str, said: str) -> None:
    with app.test_request_context(), force_locale("en"):
        assert browser(user_agent) == said
