"""
Publishes COUNT times, each time with other accounts: some come and go, one changes its role, and if a publication
were laid out without regard to the one before, all lines behind them would move. Then makes the file END.

    publish.py END COUNT
"""

import os
import subprocess
import sys
from pathlib import Path

end, count = sys.argv[1], int(sys.argv[2])
key = Path("/client/web.pub").read_text()

for number in range(count):
    coming_and_going = [
        "repos/leave-web01",
        "admins/x-ceo-web01",
        f"repos/a-host{number % 7}",
        f"repos/b{'-' * (number % 240)}",
    ]
    for name in coming_and_going:
        file = Path("/sshkeys", name)
        if file.exists():
            file.unlink()
        else:
            file.write_text(key)
    before, after = ("repos", "admins") if number % 2 == 0 else ("admins", "repos")
    os.rename(f"/sshkeys/{before}/move", f"/sshkeys/{after}/move")
    subprocess.run(["index", "rebuild"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
Path(end).touch()
