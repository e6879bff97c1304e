package taskwheel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import com.google.protobuf.Any;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.io.IOException;
import java.nio.channels.ClosedChannelException;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import javax.net.ssl.SSLException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class RpcFailureTest {
    static Stream<Arguments> codes() {
        return Stream.of(
                arguments(Status.INVALID_ARGUMENT, RpcException.InvalidArgument.class),
                arguments(Status.NOT_FOUND, RpcException.NotFound.class),
                arguments(Status.ALREADY_EXISTS, RpcException.AlreadyExists.class),
                arguments(Status.FAILED_PRECONDITION, RpcException.FailedPrecondition.class),
                arguments(Status.ABORTED, RpcException.Aborted.class),
                arguments(Status.OUT_OF_RANGE, RpcException.OutOfRange.class),
                arguments(Status.RESOURCE_EXHAUSTED, RpcException.ResourceExhausted.class),
                arguments(Status.UNAVAILABLE, RpcException.Unavailable.class),
                arguments(Status.CANCELLED, RpcException.Unavailable.class),
                arguments(Status.CANCELLED.withCause(new InterruptedException()), RpcException.class),
                arguments(Status.DEADLINE_EXCEEDED, RpcException.DeadlineExceeded.class),
                arguments(Status.UNAUTHENTICATED, RpcException.Unauthenticated.class),
                arguments(Status.PERMISSION_DENIED, RpcException.PermissionDenied.class),
                arguments(Status.UNIMPLEMENTED, RpcException.Unimplemented.class),
                arguments(Status.UNKNOWN, RpcException.class),
                arguments(Status.UNKNOWN.withCause(new ClosedChannelException()), RpcException.Unavailable.class),
                arguments(Status.INTERNAL, RpcException.class),
                arguments(Status.DATA_LOSS, RpcException.class));
    }

    @ParameterizedTest
    @MethodSource("codes")
    void everyCodeHasItsClass(Status status, Class<?> expected) {
        RpcException error = RpcFailure.of(status, null).toException();
        assertSame(expected, error.getClass());
        assertEquals(status.getCode(), error.code());
        assertEquals("", error.reason());
    }

    @Test
    void everyDetailIsKept() {
        com.google.rpc.Status status = com.google.rpc.Status.newBuilder()
                .setCode(Status.Code.INVALID_ARGUMENT.value())
                .setMessage("no")
                .addDetails(Any.pack(ErrorInfo.newBuilder()
                        .setReason("BAD_THING")
                        .putMetadata("thing", "x")
                        .build()))
                .addDetails(Any.pack(BadRequest.newBuilder()
                        .addFieldViolations(BadRequest.FieldViolation.newBuilder()
                                .setField("task.name")
                                .setDescription("is odd"))
                        .build()))
                .addDetails(Any.pack(RetryInfo.newBuilder()
                        .setRetryDelay(Times.duration(Duration.ofMillis(1500)))
                        .build()))
                .addDetails(Any.newBuilder().setTypeUrl("type.example/of.tomorrow"))
                .build();
        RpcException error =
                RpcFailure.of(StatusProto.toStatusRuntimeException(status)).toException();
        assertEquals("no [BAD_THING]", error.getMessage());
        assertEquals("BAD_THING", error.reason());
        assertEquals(Map.of("thing", "x"), error.metadata());
        assertEquals(Map.of("task.name", "is odd"), error.fields());
        assertEquals(Optional.of(Duration.ofMillis(1500)), error.retryAfter());
        assertInstanceOf(Any.class, error.details().get(3));
        assertEquals(error.details(), error.copy().details());
    }

    @Test
    void whyThereIsNoConnectionIsTold() {
        Status status = Status.UNAVAILABLE
                .withDescription("io exception\nChannel Pipeline: [TailContext#0]")
                .withCause(new SSLException("problem", new IOException("no path: none", new IOException("none"))));
        assertEquals(
                "io exception: problem: no path: none [UNAVAILABLE]",
                RpcFailure.of(status, null).toException().getMessage());
    }

    @Test
    void detailsThatAreNotOursAreLeftOut() {
        Metadata trailers = new Metadata();
        trailers.put(
                Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER), new byte[] {-1, -1});
        RpcException error =
                RpcFailure.of(Status.NOT_FOUND.withDescription("gone"), trailers).toException();
        assertEquals("gone [NOT_FOUND]", error.getMessage());
    }
}
