"""The command line on a device that trains all runs as one program.

A script of its own, run by `test_several_hosts.py` in several processes.
"""

from dataclasses import replace

from hsijax.cli import main
from hsijax.devices import CPU
from hsijax.experiments import train
from hsijax.training import loop

if __name__ == "__main__":
    train.plan_execution = loop.plan_execution = lambda: replace(CPU, one_program=True)
    main()
