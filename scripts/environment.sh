# Sourced by the commands of this folder: enters the repository and makes .venv when it is missing
# or older than pyproject.toml. Needs a Python of at least 3.11 on the PATH and nothing else.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "meanfield needs Python 3.11 or newer; install it, or name it in the variable PYTHON." >&2
    return 1
}

make_environment() {
    local python stamp=.venv/made-for
    local wanted
    wanted=$(cksum pyproject.toml)
    if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    python=$(find_python) || return 1
    echo "Making the environment in .venv (once) ..." >&2
    if ! "$python" -m venv .venv >&2; then
        echo "Python's venv module is incomplete; on Debian: apt-get install python3-venv." >&2
        return 1
    fi
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]' >&2
    echo "$wanted" >"$stamp"
}

make_environment
