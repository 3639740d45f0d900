"""Looks at the daemon's status page through headless Chromium, over its debugging pipe (standard library alone).

Usage: status-page.py CHROMIUM URL FOLDER

Light and dark, wide and narrow: writes FOLDER/<scheme>-<width>.png of each, and fails with a reason where the page loads
anything but itself, breaks its own content policy, needs sideways scrolling, has text of too little contrast (WCAG AA) or a
table that a screen reader could not name, or where the browser has anything to complain about.
"""
import base64
import json
import os
import subprocess
import sys
import tempfile

chromium, url, folder = sys.argv[1:4]
os.makedirs(folder, exist_ok=True)
faults = []

# The browser reads commands on descriptor 3 and writes answers to 4, each ended by a NUL.
command_read, command_write = os.pipe()
answer_read, answer_write = os.pipe()


def descriptors():
    # Away from 3 and 4 first, so that neither is overwritten before it was copied.
    first, second = os.dup(command_read), os.dup(answer_write)
    os.dup2(first, 3)
    os.dup2(second, 4)


profile = tempfile.TemporaryDirectory()
arguments = [chromium, "--headless=new", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
             "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
             f"--user-data-dir={profile.name}", "about:blank"]
if os.geteuid() == 0:
    arguments.insert(1, "--no-sandbox")
browser = subprocess.Popen(arguments, preexec_fn=descriptors, close_fds=False, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
os.close(command_read)
os.close(answer_write)
buffer = b""
number = 0
events = []


def receive():
    global buffer
    while b"\0" not in buffer:
        piece = os.read(answer_read, 1 << 16)
        if not piece:
            sys.exit("status-page: the browser ended")
        buffer += piece
    message, buffer = buffer.split(b"\0", 1)
    return json.loads(message)


def call(method, session=None, **parameters):
    global number
    number += 1
    mine = number
    message = {"id": mine, "method": method, "params": parameters}
    if session:
        message["sessionId"] = session
    os.write(command_write, json.dumps(message).encode() + b"\0")
    while True:
        answer = receive()
        if answer.get("id") == mine:
            if "error" in answer:
                sys.exit(f"status-page: {method}: {answer['error']}")
            return answer["result"]
        events.append(answer)


def wait_for(method):
    while True:
        for event in events:
            if event.get("method") == method:
                return event
        events.append(receive())


CHECKS = """(() => {
  const faults = [];
  if (document.documentElement.scrollWidth > innerWidth)
    faults.push(`the page is ${document.documentElement.scrollWidth} wide in a window of ${innerWidth}`);
  const channel = value => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const back = element => {
    for (; element; element = element.parentElement) {
      const colour = parse(getComputedStyle(element).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const seen = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || seen.has(element)) continue;
    seen.add(element);
    const [a, b] = [luminance(parse(getComputedStyle(element).color)), luminance(back(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faults.push(`contrast ${ratio.toFixed(2)} of "${walker.currentNode.data.trim().slice(0, 40)}"`);
  }
  for (const table of document.querySelectorAll("table"))
    if (!table.caption || !table.caption.textContent.trim()) faults.push("a table without a caption");
  if (document.querySelectorAll("th:not([scope])").length) faults.push("a table head without a scope");
  if (document.querySelectorAll("script").length) faults.push("a script");
  return JSON.stringify({faults, height: document.documentElement.scrollHeight,
    tables: document.querySelectorAll("table").length, title: document.title});
})()"""


def look(scheme, width):
    target = call("Target.createTarget", url="about:blank")["targetId"]
    session = call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ["Page", "Network", "Log", "Runtime", "Security"]:
        call(f"{domain}.enable", session)
    call("Emulation.setEmulatedMedia", session, features=[{"name": "prefers-color-scheme", "value": scheme}])
    call("Emulation.setDeviceMetricsOverride", session, width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
    events.clear()
    call("Page.navigate", session, url=url)
    wait_for("Page.loadEventFired")
    result = call("Runtime.evaluate", session, expression=CHECKS, returnByValue=True)
    found = json.loads(result["result"]["value"])
    name = f"{scheme}-{width}"
    faults.extend(f"{name}: {fault}" for fault in found["faults"])
    if found["tables"] < 4:
        faults.append(f"{name}: only {found['tables']} tables")
    for event in events:
        if event.get("method") == "Network.requestWillBeSent":
            asked = event["params"]["request"]["url"]
            # The browser's own wish, which the page does not express.
            if asked != url and not asked.endswith("/favicon.ico"):
                faults.append(f"{name}: the page loads {asked}")
        elif event.get("method") == "Log.entryAdded":
            entry = event["params"]["entry"]
            if not entry.get("url", "").endswith("/favicon.ico"):
                faults.append(f"{name}: {entry['text']}")
        elif event.get("method") == "Runtime.consoleAPICalled":
            faults.append(f"{name}: the console was written to")
    call("Emulation.setDeviceMetricsOverride", session, width=width, height=found["height"], deviceScaleFactor=1,
         mobile=width < 600)
    shot = call("Page.captureScreenshot", session, format="png")
    with open(os.path.join(folder, f"{name}.png"), "wb") as file:
        file.write(base64.b64decode(shot["data"]))
    print(f"{name}: \"{found['title']}\", {found['tables']} tables, {found['height']} high")
    call("Target.closeTarget", targetId=target)


for scheme in ["light", "dark"]:
    for width in [1280, 390]:
        look(scheme, width)
call("Browser.close")
browser.wait(timeout=20)
for fault in faults:
    print(f"status-page: {fault}", file=sys.stderr)
sys.exit(1 if faults else 0)
