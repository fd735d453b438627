"""
Runs a program and prints the largest memory that it had, in KiB (getrusage(2)).

    peak_memory.py PROGRAM [ARGUMENT]...
"""

import resource
import subprocess
import sys

subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
