import threading

from taskwheel._worker.pool import Pool


def test_every_item_is_performed_once():
    seen = []
    done = threading.Semaphore(0)

    def perform(item):
        seen.append(item)
        done.release()

    pool = Pool(4, perform)
    for start in range(0, 1000, 100):
        pool.submit(range(start, start + 100))
    for _ in range(1000):
        assert done.acquire(timeout=10)
    assert sorted(seen) == list(range(1000))
    pool.close()


def test_items_that_block_all_run_at_once_up_to_the_size():
    barrier = threading.Barrier(8)
    done = threading.Semaphore(0)

    def perform(_):
        barrier.wait(10)
        done.release()

    pool = Pool(8, perform)
    pool.submit(range(8))
    for _ in range(8):
        assert done.acquire(timeout=10)
    pool.submit(range(16))
    for _ in range(16):
        assert done.acquire(timeout=10)
    pool.close()


def test_what_no_thread_has_begun_can_be_withdrawn():
    begun, go = threading.Event(), threading.Event()

    def perform(_):
        begun.set()
        go.wait(10)

    pool = Pool(1, perform)
    pool.submit([1])
    assert begun.wait(10)
    pool.submit([2, 3])
    assert pool.withdraw() == [2, 3]
    go.set()
    pool.close()
