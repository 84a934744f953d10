#!/usr/bin/env bash
# Gradescope runs this once, when it builds the container.
set -euo pipefail
apt-get update
apt-get install -y python3 python3-pip python3-venv
python3 -m venv /opt/course
/opt/course/bin/pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
/opt/course/bin/pip install /autograder/source/pack
ln -s /opt/course/bin/induction-heads /usr/local/bin/induction-heads
