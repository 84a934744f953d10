#!/usr/bin/env bash
# Gradescope runs this once as root, when it builds the container. Choose the base image Ubuntu 24.04,
# which has Python 3.12. An older image has to get Python 3.11 or newer first.
set -euo pipefail
apt-get update
apt-get install -y python3 python3-pip python3-venv util-linux
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "This base image has Python " + sys.version.split()[0] + ". Choose Ubuntu 24.04.")'
python3 -m venv /opt/course
/opt/course/bin/pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
/opt/course/bin/pip install /autograder/source/pack
ln -sf /opt/course/bin/induction-heads /usr/local/bin/induction-heads

# The student's code runs as this user. It can read the library, but not the checks.
id student >/dev/null 2>&1 || useradd --no-create-home --shell /usr/sbin/nologin student
package="$(/opt/course/bin/python -c 'import pathlib, induction_heads; print(pathlib.Path(induction_heads.__file__).parent)')"
chmod -R go-rwx "$package/course" /autograder/source
