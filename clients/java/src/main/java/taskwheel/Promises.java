package taskwheel;

import io.grpc.Status;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Waiting, with a bound and with the errors of this package. */
final class Promises {
    private Promises() {}

    /** The result, or the RpcException, that a promise is given within a time. */
    static <T> T await(CompletableFuture<T> promise, Duration within) {
        try {
            return promise.get(within.toNanos(), TimeUnit.NANOSECONDS);
        } catch (ExecutionException failed) {
            throw (RuntimeException) failed.getCause();
        } catch (TimeoutException late) {
            // What has not been sent yet, is not.
            promise.cancel(false);
            throw RpcFailure.tooLate().toException();
        } catch (InterruptedException interrupt) {
            promise.cancel(false);
            throw interrupted(interrupt);
        }
    }

    /** The same promise, broken when a time has passed. */
    static <T> CompletableFuture<T> within(CompletableFuture<T> promise, Duration within) {
        return promise.orTimeout(within.toNanos(), TimeUnit.NANOSECONDS).exceptionally(error -> {
            throw new CompletionException(
                    error instanceof TimeoutException ? RpcFailure.tooLate().toException() : error);
        });
    }

    /** Lets time pass. */
    static void sleep(long nanoseconds) {
        try {
            TimeUnit.NANOSECONDS.sleep(nanoseconds);
        } catch (InterruptedException interrupt) {
            throw interrupted(interrupt);
        }
    }

    /** What a call throws whose thread was interrupted; it stays so. */
    static RpcException interrupted(InterruptedException interrupt) {
        Thread.currentThread().interrupt();
        Status status = Status.CANCELLED
                .withDescription("the thread was interrupted")
                .withCause(interrupt);
        return RpcFailure.of(status, null).toException();
    }
}
