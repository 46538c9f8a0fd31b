"""The page in a real browser, before a real daemon: what a person in the control room sees, and when."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from edge.cli import main
from edge.mqtt import BrokerSettings, Subscriber
from tests.daemons import R, receive
from tests.needs import need_program
from tests.page_watching import Watched, chromium, opened, wait_until, watching

STOPPED_SECONDS = 5.0


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """One daemon for all tests of this file."""
    need_program("chromium")
    with watching(tmp_path_factory.mktemp("device")) as one:
        yield one


@pytest.fixture(scope="module")
def browser(device: Watched) -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with chromium() as one:
        yield one


@pytest.fixture
def page(device: Watched, browser: Browser) -> Iterator[Page]:
    """The page, opened by its link."""
    with opened(browser, device) as one:
        yield one


def event_rows(page: Page) -> Any:
    """The rows of anomalies in the list of events."""
    return page.locator("#events li button", has_text="Surprise")


def test_the_link_signs_in_and_leaves_no_token_in_the_address(page: Page, device: Watched) -> None:
    """The address is bare, the session is no script's to read, and without it the door is shown."""
    assert page.url == f"http://127.0.0.1:{device.port}/"
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token of this device")).to_be_visible()
    page.goto(f"http://127.0.0.1:{device.port}/")
    expect(page.get_by_label("Token of this device")).to_be_visible()


def test_an_event_appears_by_itself_with_its_evidence(page: Page, device: Watched) -> None:
    """It comes while one looks, is read out, and holds clip and pictures once it has ended, without a reload."""
    page.evaluate("window.isSame = true")
    before = event_rows(page).count()
    expect(page.locator("#news")).to_contain_text(re.compile("New event on busy: Surprise"))
    expect(event_rows(page)).to_have_count(before + 1)
    expect(page.locator("[data-camera=busy].event .conditions")).to_contain_text("event")
    row = event_rows(page).first
    expect(row.locator("img")).to_be_visible()  # the heat map, once the event is over
    row.click()
    dialog = page.get_by_role("dialog")
    wait_until(page, "document.querySelector('dialog video').readyState >= 2")
    for picture in dialog.locator("img").all():
        assert picture.evaluate("one => one.decode().then(() => one.naturalWidth)") > 0
    assert page.evaluate("window.isSame") is True
    dialog.get_by_role("button", name="False alarm").click()
    expect(dialog.locator(".answer")).to_have_text("Noted.")
    page.keyboard.press("Escape")
    expect(row).to_contain_text("false alarm")
    audit = (device.state / "audit.jsonl").read_text().splitlines()
    assert json.loads(audit[-1])["verb"] == "acknowledge"


def test_a_clip_that_the_browser_cannot_play_is_offered_as_a_file(page: Page) -> None:
    """A camera's own video may be of a kind that browsers do not know: said, with the link that brings it."""
    page.route("**/clip.mp4", lambda route: route.fulfill(body=b"no film", content_type="video/mp4"))
    page.locator("#events li:has(img) button", has_text="Surprise").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("This browser cannot play the camera's video")).to_be_visible()
    expect(dialog.get_by_role("link", name="clip.mp4")).to_have_attribute("href", re.compile("^/evidence/busy/"))


def test_pictures_and_chart_go_on_by_themselves(page: Page) -> None:
    """New frames are drawn, the prediction beside them, and the chart's numbers follow the level."""
    card = page.locator("[data-camera=busy]")
    first = int(card.get_attribute("data-frame") or 0)
    wait_until(page, f"Number(document.querySelector('[data-camera=busy]').dataset.frame) > {first + 20}")
    drawn = "one => new Set(one.getContext('2d').getImageData(0, 0, one.width, one.height).data).size"
    for canvas in card.locator("canvas").all():
        assert canvas.evaluate(drawn) > 5
    wait_until(page, "/^-?[0-9.]+$/.test(document.querySelector('[data-camera=busy] .level dd').textContent)")
    limit = float(card.locator(".limit dd").inner_text())
    told = ask(page, "/api/live")["cameras"]["busy"]["points"][-1]
    assert limit == pytest.approx(told[3], abs=0.05)  # as many digits as are shown
    expect(card.locator(".chart")).to_have_attribute("aria-label", re.compile("Error, level and limit of busy"))


def ask(page: Page, path: str) -> Any:
    """What the page itself is answered."""
    return page.evaluate("path => fetch(path).then(answer => answer.json())", path)


def test_a_stopped_camera_shows_within_five_seconds(page: Page, device: Watched) -> None:
    """A camera that keeps its connection and sends nothing: said at once, greyed, the other goes on; and it comes back."""
    gate = page.locator("[data-camera=gate]")
    page.wait_for_selector("[data-camera=gate]:not(.old)[data-frame]")
    device.stalled.set()
    began = time.monotonic()
    page.wait_for_selector("[data-camera=gate].old")
    shown_seconds = time.monotonic() - began
    assert shown_seconds < STOPPED_SECONDS
    expect(gate.locator(".silent")).to_have_text(re.compile(r"No picture for \d"))
    expect(gate.locator(".state")).to_have_text("blind")
    expect(page.locator("#faults")).to_contain_text("camera lost gate")
    assert page.locator("[data-camera=busy]:not(.old)").count() == 1
    device.stalled.clear()
    page.wait_for_selector("[data-camera=gate]:not(.old)")
    expect(page.locator("#faults")).to_be_hidden()


def test_a_device_that_does_not_answer_is_told_as_old(page: Page, device: Watched) -> None:
    """Pictures of a device that is gone are not taken for now, and it ends by itself."""
    page.context.set_offline(True)
    expect(page.get_by_role("alert")).to_contain_text("No connection to the device since")
    assert page.locator("body.stale").count() == 1
    page.context.set_offline(False)
    expect(page.locator("#trouble")).to_be_hidden()


def test_what_the_device_did_not_answer_at_first_is_asked_again(page: Page) -> None:
    """A list of events and a limit that did not come when the page was opened: both are there soon, without a reload."""
    refused: list[str] = []

    def refuse_once(route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path in refused:
            route.continue_()
        else:
            refused.append(path)
            route.abort("internetdisconnected")

    page.route(re.compile(r"/api/(events\?|cameras/\w+/limit$)"), refuse_once)
    tried = page.locator("[data-camera] .tried", has_text="in the last day")
    expect(tried).to_have_count(2)  # nothing is asked any more that would take a seat from the questions to come
    event_id = event_rows(page).first.get_attribute("data-event")
    event_rows(page).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="False alarm").click()
    expect(dialog.locator(".answer")).to_have_text("Noted.")
    page.reload()
    expect(page.locator(f"[data-event='{event_id}']")).to_contain_text("false alarm")  # no live message tells that
    expect(tried).to_have_count(2)
    assert sorted(refused) == ["/api/cameras/busy/limit", "/api/cameras/gate/limit", "/api/events"]


def test_a_command_that_is_not_answered_is_told(page: Page) -> None:
    """A verdict and a limit that the device did not take: the person who gave them reads that."""
    sentence = "The device did not answer; look whether it was done."
    page.route("**/verdict", lambda route: route.abort("internetdisconnected"))
    event_rows(page).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="False alarm").click()
    expect(dialog.locator(".answer")).to_have_text(sentence)
    page.keyboard.press("Escape")
    card = page.locator("[data-camera=gate]")
    page.route("**/limit*", lambda route: route.abort("internetdisconnected"))
    expect(card.get_by_role("slider")).to_be_enabled()
    card.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    expect(card.locator(".tried")).to_have_text("The device did not answer.")
    card.get_by_role("button", name="Set this limit").click()
    expect(card.locator(".tried")).to_have_text(sentence)


def test_a_page_that_stays_open_gathers_no_listeners(page: Page) -> None:
    """On a wall it is asked twice a second for months: what listens to the document is no more after it than before."""
    page.evaluate("document.addEventListener = (kind) => { window.hasGathered ||= kind === 'visibilitychange'; }")
    for _ in range(4):
        with page.expect_response("**/api/live*"):
            pass
    assert not page.evaluate("window.hasGathered")


def test_a_page_that_stays_open_keeps_the_last_events_alone(page: Page) -> None:
    """After thousands of events there are 500 rows, of the newest, and five sentences to read out; the button leads on."""
    counts = page.evaluate(
        """async () => {
            const { tellEvents } = await import("/static/events.js");
            const made = (n) => ({ event_id: `7ZZZZZZZZZZZZZZZZZZZ${String(n).padStart(6, "0")}`, kind: "surprise", camera: "gate", begun: n, peak: 3 });
            for (let batch = 0; batch < 6; batch += 1)
                tellEvents([...Array(200).keys()].map((n) => made(200 * batch + n)), true);
            const rows = [...document.querySelectorAll("#events li button")];
            return [rows.length, rows[0].dataset.event, rows.at(-1).dataset.event,
                    document.getElementById("news").childElementCount, document.getElementById("older").hidden];
        }"""
    )
    assert counts == [500, f"7{'Z' * 19}001199", f"7{'Z' * 19}000700", 5, False]
    page.get_by_role("button", name="Older events").click()  # the device's own, which are older than those of above
    rows = page.locator("#events li button")
    wait_until(page, "document.querySelectorAll('#events li button').length > 500")
    read = rows.count()
    for _ in range(3):  # what was read back stays while nothing new comes, and opens
        with page.expect_response("**/api/live*"):
            pass
    assert rows.count() >= read
    rows.last.click()
    expect(page.locator("dialog#event")).to_be_visible()


def test_a_clock_that_is_set_back_draws_no_line_back(page: Page) -> None:
    """What was told before lies ahead of the new time, and is forgotten."""
    points = page.evaluate(
        """async () => {
            const { makeCamera } = await import("/static/camera.js");
            const { camera, update } = makeCamera("busy");
            const told = { state: "watching", conditions: [], zones: [], silent_seconds: 0.1 };
            const points = (start) => [0, 1, 2].map((second) => [start + second, 1, 1, 3, 0]);
            for (const start of [90000, 90003, 5000]) update({ ...told, points: points(start) }, start + 2);
            return camera.points.map(([seconds]) => seconds);
        }"""
    )
    assert points == [5000, 5001, 5002]


def test_a_camera_whose_card_is_gone_is_looked_at_no_more(page: Page) -> None:
    """A device that begins anew without a camera leaves nothing running on a page that stays open."""
    looks = page.evaluate(
        """async () => {
            const { makeCamera } = await import("/static/camera.js");
            const { card, camera } = makeCamera("gone");
            const pass = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });
            let looks = 0;
            Object.defineProperty(camera, "isVisible", { get: () => { looks += 1; return false; }, set: () => {} });
            document.body.append(card);
            await pass(900);
            const shown = looks;
            card.remove();
            await pass(300);
            const removed = looks;
            await pass(900);
            return [shown, looks - removed];
        }"""
    )
    assert looks[0] >= 2
    assert looks[1] == 0


def test_what_an_event_names_is_fetched_with_the_token(device: Watched) -> None:
    """A subscriber puts each path of the evidence message behind the page's address, and gets the file."""
    settings = BrokerSettings("127.0.0.1", device.broker.port, client_id="fetcher")
    with Subscriber(settings, f"{R}/events") as subscriber:
        message = receive(subscriber, '"type":"evidence" "ready"')[-1]
    evidence = json.loads(message.payload)["evidence"]
    paths = [path for name, path in evidence.items() if name != "status"]
    assert len(paths) == 4
    for path in paths:
        connection = http.client.HTTPConnection("127.0.0.1", device.port, timeout=10)
        connection.request("GET", f"/{path}", headers={"Authorization": f"Bearer {device.token}"})
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.read() == (device.state / path).read_bytes()
        connection.close()


def test_the_slider_says_what_what_if_says_and_sets_the_limit(page: Page, device: Watched) -> None:
    """By the keyboard: at each of its places the numbers are those of `replay --since 1d --what-if limit=…`."""
    card = page.locator("[data-camera=gate]")
    slider = card.get_by_role("slider")
    expect(slider).to_be_enabled()  # once the limit in force is known
    counts = set()
    for presses in (10, 30):
        slider.focus()
        for _ in range(presses):
            page.keyboard.press("ArrowRight")
        told = settled(page)
        found = what_if(device, told["on"])
        wanted = ("before", "after", "stay", "come", "vanish")
        assert {name: told[name] for name in wanted} == {name: found[name] for name in wanted}
        counts.add(told["after"])
        shown = card.locator(".tried").inner_text()
        assert f"{told['after']} event" in shown
        # The page and the command looked at the day a moment apart, in which the camera was scored on.
        per_day = float(re.search(r"That is ([\d.]+) a day", shown)[1])  # type: ignore[index]
        assert per_day == pytest.approx(found["after"] * 86400 / found["covered"]["scored_seconds"], rel=0.02)
    assert len(counts) == 2, "another limit makes other events"
    card.get_by_role("button", name="Set this limit").click()
    card.get_by_role("button", name="Back to the calibration’s own").wait_for()
    assert json.loads((device.state / "switches.json").read_text())["gate"]["limit_on"] == told["on"]
    wait_until(page, f"document.querySelector('[data-camera=gate] .limit dd').textContent === '{told['on']:.1f}'")
    card.get_by_role("button", name="Back to the calibration’s own").click()
    expect(card.get_by_role("button", name="Back to the calibration’s own")).to_be_hidden()


def settled(page: Page) -> dict[str, Any]:
    """What the slider says once it has been asked of the place where it stands."""
    value = "Number(Number(document.querySelector('[data-camera=gate] input').value).toPrecision(4))"
    shown = "JSON.parse(document.querySelector('[data-camera=gate] .tried').dataset.told ?? '{}')"
    wait_until(page, f"{shown}.on === {value}")
    told: dict[str, Any] = page.evaluate(shown)
    return told


def what_if(device: Watched, limit: float) -> dict[str, Any]:
    """What `prednet-edge replay` says of the same camera and limit."""
    words = ["replay", "--config", str(device.state.parent / "config.yaml"), "--since", "1d", "--camera", "gate"]
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        assert main([*words, "--what-if", f"limit={limit}", "--json"]) == 0
    answer: dict[str, Any] = json.loads(told.getvalue())
    return answer


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_page_keeps_the_rules_of_accessibility(page: Page, scheme: Any) -> None:
    """The checker axe finds nothing, contrast included: on the page, in the window of an event, at the door, wide and narrow."""
    page.emulate_media(color_scheme=scheme)
    assert faults_of_access(page) == []
    event_rows(page).first.click()
    assert faults_of_access(page) == []
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 390, "height": 844})
    assert faults_of_access(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing sticks out on a telephone"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Token of this device").wait_for()
    assert faults_of_access(page) == []


def faults_of_access(page: Page) -> list[str]:
    """What axe calls wrong, with where."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {[node['html'][:120] for node in one['nodes']]}" for one in found]


def test_everything_is_reached_by_the_keyboard(page: Page) -> None:
    """Tab goes from the skip link to the events; Enter opens one, Escape closes it, and one is where one was."""
    event_rows(page).first.wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("Boolean(document.activeElement.dataset.event)"):
            break
    wanted = page.evaluate("document.activeElement.dataset.event")
    assert wanted
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.evaluate(
        """async () => (await import("/static/events.js")).tellEvents(
            [{ event_id: `7${"Z".repeat(25)}`, kind: "surprise", camera: "gate", begun: 1, peak: 3 }], true)"""
    )  # another one comes meanwhile, and the rows are drawn anew
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    wait_until(page, f"document.activeElement.dataset.event === '{wanted}'")
