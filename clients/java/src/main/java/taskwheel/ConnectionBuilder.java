package taskwheel;

import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import java.util.function.Supplier;

/**
 * Where a server is, and as whom to talk to it: what the builders of {@link Client} and {@link Worker} share.
 *
 * @param <B> the builder itself
 */
public abstract class ConnectionBuilder<B extends ConnectionBuilder<B>> {
    private static final String DEFAULT_ADDRESS = "localhost:7420";

    final String address;
    ChannelCredentials credentials = InsecureChannelCredentials.create();
    String serverName;
    Supplier<Map<String, String>> metadata = Map::of;

    ConnectionBuilder(String address) {
        this.address = Objects.requireNonNull(address, "address");
    }

    /** The environment variable TASKWHEEL_ADDRESS, else localhost:7420. */
    static String defaultAddress() {
        String address = System.getenv("TASKWHEEL_ADDRESS");
        return address == null || address.isEmpty() ? DEFAULT_ADDRESS : address;
    }

    abstract B self();

    /** Use TLS, and trust what this machine trusts. Default: no TLS. */
    public B tls() {
        return credentials(TlsChannelCredentials.create());
    }

    /**
     * Use TLS, and trust the certificates in a PEM file, and no others.
     *
     * @throws UncheckedIOException the file cannot be read
     */
    public B tls(Path certificates) {
        try (var file = Files.newInputStream(certificates)) {
            return credentials(
                    TlsChannelCredentials.newBuilder().trustManager(file).build());
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    /** Use these credentials of the channel, such as {@link TlsChannelCredentials} with a certificate of the client. */
    public B credentials(ChannelCredentials credentials) {
        this.credentials = Objects.requireNonNull(credentials, "credentials");
        return self();
    }

    /** The name in the server's certificate. Default: the host of the address. */
    public B serverName(String serverName) {
        this.serverName = serverName;
        return self();
    }

    /**
     * Send an API key with each call, as {@code authorization: Bearer KEY}, for a proxy in front of the server: the
     * server itself does not look at it.
     */
    public B apiKey(String apiKey) {
        return metadata(Map.of("authorization", "Bearer " + Objects.requireNonNull(apiKey, "apiKey")));
    }

    /** Send this with each call; the names are in lower case. */
    public B metadata(Map<String, String> metadata) {
        Map<String, String> fixed = Map.copyOf(metadata);
        return metadata(() -> fixed);
    }

    /** Send what the supplier gives, which is asked anew for each call, by the thread that makes it. */
    public B metadata(Supplier<Map<String, String>> metadata) {
        this.metadata = Objects.requireNonNull(metadata, "metadata");
        return self();
    }
}
