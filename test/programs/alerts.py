"""
Runs a Prometheus (Debian's) on what listens at an address until it has read the metrics a few times and judged them by the
rules of a file. Prints the alerts that it knows, also those that wait for their time, each as "NAME" or "NAME REPOSITORY".

    alerts.py HOST:PORT RULES
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

OWN = "127.0.0.1:9091"
READINGS = 4
LONGEST = 60  # seconds


def ask(path: str, **query: str) -> Any:
    url = f"http://{OWN}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)["data"]
    except OSError:  # it does not listen yet
        return None


def is_read() -> bool:
    found = ask("query", query="count_over_time(process_start_time_seconds{job='borgserver'}[1m])")
    return bool(found and found["result"]) and int(found["result"][0]["value"][1]) >= READINGS


def main(target: str, rules: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [rules],
            "scrape_configs": [{"job_name": "borgserver", "static_configs": [{"targets": [target]}]}],
        }
        Path(f"{folder}/prometheus.yml").write_text(json.dumps(config))  # YAML is a superset
        words = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        program = subprocess.Popen(
            ["prometheus", *words, f"--web.listen-address={OWN}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            end = time.monotonic() + LONGEST
            while not is_read():
                if time.monotonic() > end:
                    sys.exit("Prometheus does not read the metrics")
                time.sleep(0.1)
            time.sleep(1.5)  # judged after the last reading
            labels = [alert["labels"] for alert in ask("alerts")["alerts"]]
            for line in sorted(f"{each['alertname']} {each.get('repository', '')}".strip() for each in labels):
                print(line)
        finally:
            program.terminate()
            program.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
