# Sourced by the commands of this folder, with the extra of pyproject.toml that the command needs:
# sklearn, docs or test, each of which holds the ones before. Enters the repository and makes .venv
# when it is missing, lacks that extra, or is older than pyproject.toml or constraints.txt. Needs a
# Python of at least 3.11 on the PATH and nothing else.
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

# The extras that an environment made with one of them has.
extras_within() {
    case $1 in
        test) echo "sklearn docs test" ;;
        docs) echo "sklearn docs" ;;
        *) echo "$1" ;;
    esac
}

make_environment() {
    local extra=$1 python stamp=.venv/made-for had="" made_from="" sources
    sources=$(cksum pyproject.toml constraints.txt | cksum)
    if [ -x .venv/bin/python ] && [ -f "$stamp" ]; then
        { read -r had && read -r made_from; } <"$stamp" || true
    fi
    if [[ " $(extras_within "$had") " = *" $extra "* ]]; then
        if [ "$made_from" = "$sources" ]; then
            return
        fi
        extra=$had # what the environment had, it keeps
    fi
    python=$(find_python) || return 1
    echo "Making the environment in .venv (once) ..." >&2
    if ! "$python" -m venv .venv >&2; then
        echo "Python's venv module is incomplete; on Debian: apt-get install python3-venv." >&2
        return 1
    fi
    # Python compiles what is imported, when it is: all of it took 20 s, of which half is never used.
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
        --constraint constraints.txt --editable ".[$extra]" >&2
    printf '%s\n' "$extra" "$sources" >"$stamp"
}

make_environment "$1"
# Each of the many processes to come would compile anew what it imports: a quarter of their time.
unset PYTHONDONTWRITEBYTECODE
