package taskwheel;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.DebugInfo;
import com.google.rpc.ErrorInfo;
import com.google.rpc.Help;
import com.google.rpc.LocalizedMessage;
import com.google.rpc.PreconditionFailure;
import com.google.rpc.QuotaFailure;
import com.google.rpc.RequestInfo;
import com.google.rpc.ResourceInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.ProtoUtils;
import java.nio.channels.ClosedChannelException;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * A call that failed, with every detail that came with it.
 *
 * @param cause what threw, or null
 */
record RpcFailure(Status.Code code, String text, List<Message> details, Throwable cause) {
    private static final Metadata.Key<com.google.rpc.Status> DETAILS = Metadata.Key.of(
            "grpc-status-details-bin", ProtoUtils.metadataMarshaller(com.google.rpc.Status.getDefaultInstance()));

    private static final List<Class<? extends Message>> KINDS = List.of(
            ErrorInfo.class,
            BadRequest.class,
            RetryInfo.class,
            QuotaFailure.class,
            PreconditionFailure.class,
            ResourceInfo.class,
            Help.class,
            LocalizedMessage.class,
            DebugInfo.class,
            RequestInfo.class);

    /** The library of gRPC refuses by itself, on either side of the connection. */
    private static final Pattern TOO_LARGE =
            Pattern.compile("message too large (\\d+) > (\\d+)|SERVER: Received message larger than max \\((\\d+) vs");

    static RpcFailure of(StatusRuntimeException thrown) {
        return of(thrown.getStatus(), thrown.getTrailers());
    }

    static RpcFailure of(Status status, Metadata trailers) {
        if (status.getCause() instanceof StatusRuntimeException refused) { // before it was sent
            return of(refused);
        }
        return new RpcFailure(status.getCode(), text(status), sent(trailers), status.getCause());
    }

    /** What gRPC says, and why there is no connection: of that it often says "io exception" and no more. */
    private static String text(Status status) {
        String text = status.getDescription() == null ? status.getCode().name() : status.getDescription();
        if (status.getCode() != Status.Code.UNAVAILABLE || status.getCause() == null) {
            return text;
        }
        text = text.lines().findFirst().orElse("");
        for (Throwable why = status.getCause(); why != null; why = why.getCause()) {
            if (why.getMessage() != null && !text.contains(why.getMessage())) {
                text += ": " + why.getMessage();
            }
        }
        return text;
    }

    /** What gRPC has for a call that was not answered in time. */
    static RpcFailure tooLate() {
        return of(Status.DEADLINE_EXCEEDED.withDescription("the time for the call has passed"), null);
    }

    /** The exception of the class that fits. */
    RpcException toException() {
        return switch (code) {
            case INVALID_ARGUMENT -> new RpcException.InvalidArgument(this);
            case NOT_FOUND -> new RpcException.NotFound(this);
            case ALREADY_EXISTS -> new RpcException.AlreadyExists(this);
            case FAILED_PRECONDITION -> new RpcException.FailedPrecondition(this);
            case ABORTED -> new RpcException.Aborted(this);
            case OUT_OF_RANGE -> new RpcException.OutOfRange(this);
            case RESOURCE_EXHAUSTED -> TOO_LARGE.matcher(text).find()
                    ? new RpcException.RequestTooLarge(this)
                    : new RpcException.ResourceExhausted(this);
            case UNAVAILABLE -> new RpcException.Unavailable(this);
            // Of a server that ends, which has cut the call short; or of the caller, whose thread was interrupted.
            case CANCELLED -> cause instanceof InterruptedException
                    ? new RpcException(this)
                    : new RpcException.Unavailable(this);
            case DEADLINE_EXCEEDED -> new RpcException.DeadlineExceeded(this);
            case UNAUTHENTICATED -> new RpcException.Unauthenticated(this);
            case PERMISSION_DENIED -> new RpcException.PermissionDenied(this);
            case UNIMPLEMENTED -> new RpcException.Unimplemented(this);
            // What netty makes of a connection that closes while it is written to.
            case UNKNOWN -> cause instanceof ClosedChannelException
                    ? new RpcException.Unavailable(this)
                    : new RpcException(this);
            default -> new RpcException(this);
        };
    }

    <T extends Message> Optional<T> detail(Class<T> kind) {
        return details.stream().filter(kind::isInstance).map(kind::cast).findFirst();
    }

    @Override
    public String toString() {
        String reason = detail(ErrorInfo.class).map(ErrorInfo::getReason).orElse(code.name());
        return text + " [" + reason + "]";
    }

    private static List<Message> sent(Metadata trailers) {
        com.google.rpc.Status status = null;
        try {
            status = trailers == null ? null : trailers.get(DETAILS);
        } catch (IllegalArgumentException notOurs) {
            // A proxy's own.
        }
        return status == null ? List.of() : status.getDetailsList().stream().map(RpcFailure::unpack).toList();
    }

    private static Message unpack(Any packed) {
        for (Class<? extends Message> kind : KINDS) {
            if (packed.is(kind)) {
                try {
                    return packed.unpack(kind);
                } catch (InvalidProtocolBufferException broken) {
                    return packed;
                }
            }
        }
        return packed;
    }
}
