"""Places of our own: network namespaces, control groups, files that are mounted over the system's."""

import os
import pathlib
import subprocess

from play import Skipped, until


def run(*command):
    """Raises Skipped with what the command says: none of these is what is tested."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Skipped(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


class Network:
    """A network namespace with nothing but loopback, that lives as long as a process that sleeps in it."""

    def __init__(self):
        self._holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stderr=subprocess.DEVNULL)
        mine = os.readlink("/proc/self/ns/net")
        try:
            until(20, "a network namespace", lambda: self._is_there(mine))
        except Exception:
            self.close()
            raise
        self.run("ip", "link", "set", "lo", "up")

    def _is_there(self, mine):
        if self._holder.poll() is not None:
            raise Skipped("cannot make a network namespace")
        return os.readlink(f"/proc/{self._holder.pid}/ns/net") != mine

    @property
    def path(self):
        return f"/proc/{self._holder.pid}/ns/net"

    @property
    def prefix(self):
        """Becomes what follows, inside."""
        return ["nsenter", f"--net={self.path}", "--"]

    def run(self, *command):
        return run(*self.prefix, *command)

    def close(self):
        self._holder.kill()
        self._holder.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Over:
    """A file of ours in the place of one of the system's. It is written in place, as mounts follow the file, not the name."""

    def __init__(self, path, folder, text):
        self._path = path
        self.file = pathlib.Path(folder) / pathlib.Path(path).name
        self.file.write_text(text)

    def append(self, text):
        with self.file.open("a") as file:
            file.write(text)

    def __enter__(self):
        run("mount", "--bind", str(self.file), self._path)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "--lazy", self._path], check=False)


class Group:
    """A control group of one controller (version 1), or of the unified tree (version 2)."""

    def __init__(self, controller, name):
        first, unified = pathlib.Path("/sys/fs/cgroup") / controller, pathlib.Path("/sys/fs/cgroup")
        if first.is_dir():
            self.version, root = 1, first
        elif controller in _read(unified / "cgroup.subtree_control").split():
            self.version, root = 2, unified
        else:
            raise Skipped(f"there is no cgroup controller {controller}")
        self.folder = root / f"faults-{os.getpid()}-{name}"
        try:
            self.folder.mkdir()
        except OSError as error:
            raise Skipped(f"cannot make a cgroup: {error}") from error

    @property
    def prefix(self):
        """Becomes what follows, inside."""
        return ["sh", "-c", f'echo $$ > {self.folder}/cgroup.procs && exec "$@"', "sh"]

    def read(self, name):
        return _read(self.folder / name).strip()

    def write(self, name, value):
        (self.folder / name).write_text(str(value))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        def gone():
            try:
                self.folder.rmdir()
                return True
            except OSError:
                return False
        until(20, "the cgroup is empty", gone)


def _read(path):
    try:
        return path.read_text()
    except OSError:
        return ""
