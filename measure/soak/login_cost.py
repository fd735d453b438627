"""
What the login program costs, called as sshd does: the most memory of fifty runs, and their processor time each
(getrusage(2)).

    login_cost.py ACCOUNT     the account of the key /client/ACCOUNT.pub
"""

import resource
import subprocess
import sys

RUNS = 50

account = sys.argv[1]
fingerprint = subprocess.check_output(["ssh-keygen", "-lf", f"/client/{account}.pub"], text=True).split()[1]
as_borgkeys = ["setpriv", "--reuid", "borgkeys", "--regid", "borgkeys", "--clear-groups", "env", "-i"]
login_program = ["/usr/local/bin/borgserver", "authorized-keys", account, fingerprint]
for _ in range(RUNS):
    subprocess.run([*as_borgkeys, *login_program], stdout=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
milliseconds = (used.ru_utime + used.ru_stime) / RUNS * 1000
print(f"{used.ru_maxrss / 1024:.0f} MiB at most, {milliseconds:.0f} ms of processor time")
