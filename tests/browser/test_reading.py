"""Colour scheme, keyboard, and what a page says when there is nothing to show."""

from __future__ import annotations


def scheme_of(page) -> str:
    return page.locator("html").get_attribute("data-mantine-color-scheme")


def text_colour(page) -> str:
    return page.evaluate(
        "document.querySelector('#fleet-starts-body .js-plotly-plot').layout.font.color"
    )


def test_the_colour_scheme_is_chosen_kept_and_followed(visit):
    """Light, dark or the system's; charts and tables follow at once; a reload remembers."""
    watched = visit(color_scheme="light")
    page = watched.open("/")
    light = text_colour(page)
    page.get_by_text("Dark", exact=True).click()
    watched.until(
        "document.documentElement.dataset.mantineColorScheme === 'dark'"
        f" && document.querySelector('#fleet-starts-body .js-plotly-plot').layout.font.color"
        f" !== '{light}'"
    )
    watched.open("/")
    assert scheme_of(page) == "dark"
    assert page.locator("html").get_attribute("data-ag-theme-mode") == "dark"
    assert text_colour(page) != light
    page.get_by_text("System", exact=True).click()
    watched.until("document.documentElement.dataset.mantineColorScheme === 'light'")
    page.emulate_media(color_scheme="dark")
    watched.until("document.documentElement.dataset.mantineColorScheme === 'dark'")


def test_dark_is_dark_before_anything_is_drawn(visit):
    """No white flash: the scheme is set by the document's head."""
    watched = visit(color_scheme="dark")
    page = watched.page
    page.goto(watched.origin + "/", wait_until="commit")
    watched.until("document.body !== null")
    assert scheme_of(page) == "dark"
    watched.settle()


def test_everything_can_be_reached_and_seen_with_the_keyboard(visit):
    """The first stop skips the header; each stop has a visible ring; Enter opens a page."""
    watched = visit()
    page = watched.open("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    stops = []
    for _ in range(14):
        page.keyboard.press("Tab")
        stops.append(
            page.evaluate(
                """() => {
                  const element = document.activeElement;
                  const seen = element.matches('input') ? element.nextElementSibling : element;
                  const style = getComputedStyle(seen || element);
                  return [element.textContent || element.value || element.tagName,
                          style.outlineStyle, parseFloat(style.outlineWidth)];
                }"""
            )
        )
    invisible = [name for name, style, width in stops if style == "none" or width < 1]
    assert invisible == []
    names = [name for name, _, _ in stops]
    assert {"Fleet", "Canaries", "5m", "15m"} <= set(names)
    page.locator("#nav-canaries").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/canaries")
    watched.settle()
    page.locator("#canaries-list .ag-row a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/canary/*")


def test_landmarks_and_headings(visit):
    """One h1, a main region, a named navigation; the title names the page."""
    page = visit().open("/service/playback")
    assert page.locator("h1").count() == 1
    assert page.locator("main").count() >= 1
    assert page.get_by_role("navigation", name="Pages").count() == 1
    assert page.title() == "playback · Davylamp"


def test_names_that_are_not_known_get_a_sentence(visit):
    """A service, a canary, a trace, a page."""
    for path, words in (
        ("/service/nobody", "No service called nobody was heard in this window."),
        ("/canary/none", "No canary none is known."),
        ("/trace/" + "ab" * 16, "This trace is not in the store."),
    ):
        page = visit().open(path)
        assert words in page.locator("main").inner_text()
        assert page.locator(".part:not(.is-empty) .js-plotly-plot").count() == 0


def test_an_unknown_page_is_a_404_also_from_within(visit):
    """The server's answer, and the page switch's."""
    watched = visit()
    page = watched.page
    assert page.goto(watched.origin + "/nope").status == 404
    assert "There is no such page" in page.inner_text("main")
    assert all("404" in line for line in watched.complaints)
    watched.complaints.clear()
    watched.open("/")
    page.evaluate(
        "history.pushState({}, '', '/nope');"
        "window.dispatchEvent(new CustomEvent('_dashprivate_pushstate'))"
    )
    page.locator("main", has_text="There is no such page").wait_for()


def test_apis_that_do_not_answer_are_named_with_what_to_do(visit, start):
    """Sentences in place of every chart and table; no axes."""
    alone = start.dashboards(collector_port=1, analysis_port=2)
    for path in ("/", "/service/x", "/canaries", "/canary/x"):
        page = visit(origin=f"http://127.0.0.1:{alone.said['port']}").open(path)
        words = page.locator("main").inner_text()
        assert "does not answer at http://127.0.0.1:" in words
        assert "davylamp run " in words
        assert page.locator(".part:not(.is-empty) .js-plotly-plot").count() == 0


def test_a_lost_source_leaves_its_last_picture_marked_as_old(visit, start):
    """Not silently kept, not thrown away; and lost pages say that they are lost."""
    analysis = start.analysis()
    dashboards = start.dashboards(collector_port=1, analysis_port=analysis.said["analysis_port"])
    watched = visit(origin=f"http://127.0.0.1:{dashboards.said['port']}")
    page = watched.open("/canaries")
    rows = page.locator("#canaries-list .ag-center-cols-container .ag-row")
    rows.first.wait_for()
    count = rows.count()
    analysis.end()
    page.locator("#canaries-list.is-stale").wait_for()
    words = page.locator("#canaries-list-note").inner_text()
    assert words.startswith("Not live. The analysis does not answer at http://")
    assert "Shown as of" in words
    assert rows.count() == count
    dashboards.end()
    page.locator("#lost", has_text="The dashboards do not answer.").wait_for()
    assert all("Failed to load resource" in c or "did not respond" in c for c in watched.complaints)
    watched.complaints.clear()
