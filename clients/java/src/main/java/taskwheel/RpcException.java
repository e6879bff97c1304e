package taskwheel;

import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What the server answered to a call, or that it did not answer. Codes without a subclass are this class itself. */
public class RpcException extends TaskwheelException {
    private final transient RpcFailure failure;

    RpcException(RpcFailure failure) {
        super(failure.toString(), failure.cause());
        this.failure = failure;
    }

    /** The gRPC status code. */
    public Status.Code code() {
        return failure.code();
    }

    /**
     * Why, in UPPER_SNAKE, stable, for programs (AIP-193 ErrorInfo.reason); empty when none was sent, as for errors of
     * the connection.
     */
    public String reason() {
        return failure.detail(ErrorInfo.class).map(ErrorInfo::getReason).orElse("");
    }

    /** Every changing part of the message, by name (AIP-193 ErrorInfo.metadata). */
    public Map<String, String> metadata() {
        return failure.detail(ErrorInfo.class).map(ErrorInfo::getMetadataMap).orElse(Map.of());
    }

    /** All the google.rpc messages that came with it; those of an unknown type as Any. */
    public List<Message> details() {
        return failure.details();
    }

    /** What is wrong with each field at fault, by its path, such as {@code task.schedules[0].cron}. */
    public Map<String, String> fields() {
        Map<String, String> fields = new LinkedHashMap<>();
        failure.detail(BadRequest.class)
                .ifPresent(request -> request.getFieldViolationsList()
                        .forEach(violation -> fields.put(violation.getField(), violation.getDescription())));
        return fields;
    }

    /** How long to wait before the next try, if the server said so. */
    public Optional<Duration> retryAfter() {
        return failure.detail(RetryInfo.class).map(info -> Times.duration(info.getRetryDelay()));
    }

    /** The same error once more: of one that several threads throw, the stack would be that of none. */
    RpcException copy() {
        return failure.toException();
    }

    /** Fields of the request break their rules, whatever the state of the server: {@link #fields}. */
    public static final class InvalidArgument extends RpcException {
        InvalidArgument(RpcFailure failure) {
            super(failure);
        }
    }

    /** The task or the run is not there: TASK_NOT_FOUND, RUN_NOT_FOUND, or RUN_EXPIRED when it is no longer kept. */
    public static final class NotFound extends RpcException {
        NotFound(RpcFailure failure) {
            super(failure);
        }
    }

    /** The id belongs to another task, or the request_id to another request: REQUEST_ID_REUSED. */
    public static final class AlreadyExists extends RpcException {
        AlreadyExists(RpcFailure failure) {
            super(failure);
        }
    }

    /** The state of the thing forbids the call, such as RUN_DONE. */
    public static final class FailedPrecondition extends RpcException {
        FailedPrecondition(RpcFailure failure) {
            super(failure);
        }
    }

    /** The caller acted on what has changed since: an etag or a lease that is not current any more. */
    public static final class Aborted extends RpcException {
        Aborted(RpcFailure failure) {
            super(failure);
        }
    }

    /** A cursor outside what is kept: EVENTS_COMPACTED or SEQUENCE_AHEAD. */
    public static final class OutOfRange extends RpcException {
        OutOfRange(RpcFailure failure) {
            super(failure);
        }
    }

    /** A bound was reached: {@link #retryAfter}. */
    public static final class ResourceExhausted extends RpcException {
        ResourceExhausted(RpcFailure failure) {
            super(failure);
        }
    }

    /** The request is larger than 4 MiB, all that one message may have; nothing was done. */
    public static final class RequestTooLarge extends RpcException {
        RequestTooLarge(RpcFailure failure) {
            super(failure);
        }
    }

    /** The server cannot be reached or cannot answer now; the call is safe to repeat: {@link #retryAfter}. */
    public static final class Unavailable extends RpcException {
        Unavailable(RpcFailure failure) {
            super(failure);
        }
    }

    /** The server did not answer in time; what the call would change may have been changed. */
    public static final class DeadlineExceeded extends RpcException {
        DeadlineExceeded(RpcFailure failure) {
            super(failure);
        }
    }

    /** The credentials are missing or not valid. */
    public static final class Unauthenticated extends RpcException {
        Unauthenticated(RpcFailure failure) {
            super(failure);
        }
    }

    /** The credentials do not suffice. */
    public static final class PermissionDenied extends RpcException {
        PermissionDenied(RpcFailure failure) {
            super(failure);
        }
    }

    /** The server does not know the call: it is older than this client. */
    public static final class Unimplemented extends RpcException {
        Unimplemented(RpcFailure failure) {
            super(failure);
        }
    }
}
