"""A real browser: WebDriver spoken with Python's own http client to Debian's chromium-driver."""
import base64, contextlib, json, os, shutil, socket, subprocess, sys, tempfile, time, urllib.request


def free_port():
    with socket.socket() as s: s.bind(("127.0.0.1", 0)); return s.getsockname()[1]


def listening(port, seconds=20):
    end = time.time() + seconds
    while True:
        try: return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.time() > end: raise
            time.sleep(0.05)


class Browser:
    """A WebDriver session; ELEMENT is the key under which the protocol hides element ids."""
    ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                            "--disable-component-update", "--disable-sync", "--user-data-dir=" + tempfile.mkdtemp(prefix="browser-")]}
        capabilities = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.base += "/session/" + answer["sessionId"]

    def call(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        return json.loads(urllib.request.urlopen(request, timeout=60).read())["value"]

    def open(self, url): self.call("POST", "/url", {"url": url})
    def script(self, text, *args): return self.call("POST", "/execute/sync", {"script": text, "args": list(args)})
    def find(self, selector): return self.call("POST", "/element", {"using": "css selector", "value": selector})[self.ELEMENT]
    def click(self, selector): self.call("POST", f"/element/{self.find(selector)}/click", {})
    def type(self, selector, text): element = self.find(selector); self.call("POST", f"/element/{element}/clear", {}); self.call("POST", f"/element/{element}/value", {"text": text})
    def log(self, kind): return self.call("POST", "/se/log", {"type": kind})
    def command(self, name, params): return self.call("POST", "/goog/cdp/execute", {"cmd": name, "params": params})
    def width(self, pixels, height): self.command("Emulation.setDeviceMetricsOverride", {"width": pixels, "height": height, "deviceScaleFactor": 1, "mobile": pixels < 600})
    def picture(self, path): open(path, "wb").write(base64.b64decode(self.call("GET", "/screenshot")))
    def wait(self, what, text, seconds=10):
        end = time.time() + seconds
        while not self.script("return " + text):
            if time.time() > end: raise AssertionError(f"{what}: {text} never became true on\n" + self.script("return document.documentElement.outerHTML")[:2000])
            time.sleep(0.05)


@contextlib.contextmanager
def session():
    """A browser that ends with the block. Ends the program where there is none: with an error if REQUIRE_PROGRAMS says so."""
    program = shutil.which("chromedriver")
    if not program:
        if os.environ.get("REQUIRE_PROGRAMS"): sys.exit("needs chromedriver")
        print("skipped: needs chromedriver"); sys.exit(0)
    port = free_port()
    driver = subprocess.Popen([program, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        listening(port)
        browser = Browser(port)
        yield browser
        browser.call("DELETE", "")
    finally:
        driver.terminate(); driver.wait()
