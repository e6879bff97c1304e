package taskwheel;

import io.grpc.BindableService;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerBuilder;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerCredentials;
import io.grpc.ServerInterceptor;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** A server whose answers a test makes up. */
final class FakeServer implements AutoCloseable {
    /** The headers of each call, in the order in which they came. */
    final List<Metadata> headers = new CopyOnWriteArrayList<>();

    /** The full names of the methods that were called. */
    final List<String> methods = new CopyOnWriteArrayList<>();

    private final Server server;

    FakeServer(BindableService... services) throws IOException {
        this(InsecureServerCredentials.create(), services);
    }

    FakeServer(ServerCredentials credentials, BindableService... services) throws IOException {
        ServerBuilder<?> builder = Grpc.newServerBuilderForPort(0, credentials).intercept(new ServerInterceptor() {
            @Override
            public <Q, R> ServerCall.Listener<Q> interceptCall(
                    ServerCall<Q, R> call, Metadata sent, ServerCallHandler<Q, R> next) {
                headers.add(sent);
                methods.add(call.getMethodDescriptor().getBareMethodName());
                return next.startCall(call, sent);
            }
        });
        for (BindableService service : services) {
            builder.addService(service);
        }
        server = builder.build().start();
    }

    String address() {
        return "localhost:" + server.getPort();
    }

    @Override
    public void close() {
        server.shutdownNow();
    }
}
