package taskwheel;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

/** A server of this repository, as a process, on a database file of its own. */
final class LiveServer implements AutoCloseable {
    private static final Path PYTHON = Path.of("../../.venv/bin/python");
    private static final Duration START = Duration.ofSeconds(30);

    private static LiveServer shared;

    final String address;
    private final Path folder;
    private Process process;

    private LiveServer() throws IOException {
        folder = Files.createTempDirectory("taskwheel");
        try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            address = "127.0.0.1:" + probe.getLocalPort();
        }
    }

    /** The server that all tests share which do not stop it. */
    static synchronized LiveServer shared() throws IOException {
        if (shared == null) {
            shared = begin();
            Runtime.getRuntime().addShutdownHook(new Thread(shared::close));
        }
        return shared;
    }

    /** A server of the test's own. */
    static LiveServer begin() throws IOException {
        boolean there = Files.exists(PYTHON);
        assumeTrue(there || "true".equals(System.getenv("CI")), "there is no server: make setup");
        LiveServer server = new LiveServer();
        server.start();
        return server;
    }

    /** Starts it, on the same port and file as before. */
    void start() throws IOException {
        process = new ProcessBuilder(
                        PYTHON.toString(), "-m", "taskwheel.cli", "serve", "--listen", address,
                        "--database-url", "sqlite:///" + folder.resolve("taskwheel.db"))
                .redirectErrorStream(true)
                .redirectOutput(new File(folder.toFile(), "log"))
                .start();
        long end = System.nanoTime() + START.toNanos();
        try (Client client = Client.connect(address)) {
            while (true) {
                try {
                    client.serverInfo();
                    return;
                } catch (RpcException.Unavailable notYet) {
                    if (!process.isAlive() || System.nanoTime() - end > 0) {
                        throw new IOException(Files.readString(folder.resolve("log")));
                    }
                }
            }
        }
    }

    /** Kills it, without a chance to say anything. */
    void kill() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }

    /** A task of the shared server that no other test has, with a handler of the same name. */
    static String freshTask(Client client) {
        String id = "task-" + UUID.randomUUID().toString().substring(0, 13);
        client.createTask(id, id);
        return id;
    }

    @Override
    public void close() {
        process.destroy();
        try {
            process.waitFor(10, TimeUnit.SECONDS);
        } catch (InterruptedException interrupt) {
            process.destroyForcibly();
        }
    }
}
