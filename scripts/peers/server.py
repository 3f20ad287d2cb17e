"""A `wick serve` of the release build with everything of its own in one folder, for benchmarks."""

import json
import os
import pathlib
import subprocess
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WICK = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "wick"
ADDRESS = "127.0.0.1:11599"


class Server:
    """Starts at once; `started` seconds later it answered. Variables may name an assistant's model or the like."""

    def __init__(self, folder, **variables):
        self.folder = folder
        self.environment = os.environ | {
            "OLLAMA_HOST": ADDRESS, "OLLAMA_MODELS": str(folder / "models"), "WICK_DATA": str(folder / "data"), "HOME": str(folder),
        } | variables
        self.log = folder / "log"
        begun = time.perf_counter()
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([WICK, "serve"], env=self.environment, stdout=subprocess.DEVNULL, stderr=log)
        while True:
            assert self.process.poll() is None, "the server ended"
            try:
                self.get("/api/version")
                break
            except OSError:
                time.sleep(0.002)
        self.started = time.perf_counter() - begun

    def make_model(self, name, source):
        """From a GGUF file or a folder of safetensors."""
        file = self.folder / "Modelfile"
        file.write_text(f"FROM {pathlib.Path(source).resolve()}\n")
        subprocess.run([WICK, "create", name, "-f", file], env=self.environment, check=True, capture_output=True)

    def said(self, words):
        """How often the log has them."""
        return self.log.read_text().count(words)

    def wait_for(self, words, times=1):
        """Until the log has them so many times."""
        while self.said(words) < times:
            assert self.process.poll() is None, "the server ended"
            time.sleep(0.1)

    def get(self, path):
        with urllib.request.urlopen(f"http://{ADDRESS}{path}") as answer:
            return json.load(answer)

    def open(self, path, body, method="POST"):
        request = urllib.request.Request(
            f"http://{ADDRESS}{path}", json.dumps(body).encode(), {"content-type": "application/json"}, method=method
        )
        return urllib.request.urlopen(request)

    def post(self, path, body, method="POST"):
        with self.open(path, body, method) as answer:
            return json.load(answer)

    def resident(self):
        """MiB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) // 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()
