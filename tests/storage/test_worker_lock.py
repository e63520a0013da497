import subprocess
import sys
from pathlib import Path

from storage.worker_lock import WorkerLock

LIVE = """
import sys
from pathlib import Path
from storage.worker_lock import WorkerLock
presence = WorkerLock(Path(sys.argv[1]))
print(presence.owner, flush=True)
sys.stdin.read()
"""


def test_presence_tells_a_killed_worker_from_a_living_one(tmp_path: Path):
    watcher = WorkerLock(tmp_path)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", LIVE, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    owners = [worker.stdout.readline().strip() for worker in workers]

    assert watcher.find_dead() == []
    workers[0].kill()
    workers[0].wait()
    assert watcher.find_dead() == [owners[0]]
    watcher.forget(owners[0])
    assert watcher.find_dead() == []

    workers[1].communicate()
    workers[0].communicate()
    watcher.close()
