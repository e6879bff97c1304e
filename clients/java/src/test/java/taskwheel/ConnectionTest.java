package taskwheel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.TlsServerCredentials;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import javax.net.ssl.KeyManagerFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import taskwheel.v1.ClaimTaskRunsRequest;
import taskwheel.v1.ClaimTaskRunsResponse;
import taskwheel.v1.GetTaskRunRequest;
import taskwheel.v1.RunTaskRequest;
import taskwheel.v1.TaskRun;
import taskwheel.v1.TaskRunServiceGrpc;
import taskwheel.v1.TaskServiceGrpc;
import taskwheel.v1.WorkerServiceGrpc;

/** Certificates, credentials, deadlines, what is repeated, and servers of another version. */
@Timeout(60)
class ConnectionTest {
    private static final char[] PASSWORD = "password".toCharArray();

    private static final class Runs extends TaskRunServiceGrpc.TaskRunServiceImplBase {
        @Override
        public void getTaskRun(GetTaskRunRequest request, StreamObserver<TaskRun> answer) {
            if (request.getName().equals("silent")) {
                return;
            }
            if (request.getName().equals("refused")) {
                answer.onError(Status.FAILED_PRECONDITION.asRuntimeException());
                return;
            }
            answer.onNext(TaskRun.newBuilder()
                    .setName(request.getName())
                    .setStateValue(99)
                    .setTriggerValue(98)
                    .build());
            answer.onCompleted();
        }
    }

    /** A key of its own for a server named {@code worker.test}, and its certificate as PEM in the folder. */
    private static KeyStore certificate(Path folder) throws Exception {
        Path store = folder.resolve("server.p12");
        Process keytool = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                        "-genkeypair", "-keyalg", "EC", "-alias", "server", "-dname", "CN=taskwheel.test",
                        "-ext", "san=dns:taskwheel.test", "-storetype", "PKCS12",
                        "-keystore", store.toString(), "-storepass", new String(PASSWORD))
                .inheritIO()
                .start();
        assertEquals(0, keytool.waitFor());
        KeyStore keys = KeyStore.getInstance(store.toFile(), PASSWORD);
        String encoded = Base64.getMimeEncoder().encodeToString(keys.getCertificate("server").getEncoded());
        Files.writeString(
                folder.resolve("server.pem"),
                "-----BEGIN CERTIFICATE-----\n" + encoded + "\n-----END CERTIFICATE-----\n");
        return keys;
    }

    @Test
    void aServerIsTrustedByItsCertificateAndItsNameAlone(@TempDir Path folder) throws Exception {
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(certificate(folder), PASSWORD);
        var credentials = TlsServerCredentials.newBuilder()
                .keyManager(keys.getKeyManagers())
                .build();
        Path trusted = folder.resolve("server.pem");
        try (FakeServer server = new FakeServer(credentials, new Runs())) {
            Client.Builder right = Client.builder(server.address()).tls(trusted).serverName("taskwheel.test");
            try (Client client = right.apiKey("secret").build()) {
                assertEquals("a", client.getRun("a").getName());
                assertEquals(List.of("Bearer secret"), sent(server, "authorization"));
            }
            Client.Builder otherName = Client.builder(server.address()).tls(trusted);
            Client.Builder untrusted = Client.builder(server.address()).tls().serverName("taskwheel.test");
            Client.Builder plain = Client.builder(server.address());
            for (Client.Builder wrong : List.of(otherName, untrusted, plain)) {
                try (Client client = wrong.build()) {
                    assertThrows(RpcException.Unavailable.class, () -> client.getRun("a"));
                }
            }
        }
    }

    private static List<String> sent(FakeServer server, String name) {
        Metadata.Key<String> key = Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER);
        return server.headers.stream().map(headers -> headers.get(key)).toList();
    }

    @Test
    void whatALaterVersionSaysIsKeptAsANumber() throws IOException {
        try (FakeServer server = new FakeServer(new Runs());
                Client client = Client.connect(server.address())) {
            TaskRun run = client.getRun("a");
            assertEquals(TaskRun.State.UNRECOGNIZED, run.getState());
            assertEquals(99, run.getStateValue());
        }
    }

    @Test
    void aCallWithoutAnAnswerEndsAtItsDeadline() throws IOException {
        try (FakeServer server = new FakeServer(new Runs());
                Client client = Client.builder(server.address())
                        .timeout(Duration.ofMillis(200))
                        .build()) {
            assertThrows(RpcException.DeadlineExceeded.class, () -> client.getRun("silent"));
        }
    }

    @Test
    void aKeyThatIsMissingIsRefused() {
        assertThrows(NullPointerException.class, () -> Client.builder("localhost:1").apiKey(null));
    }

    @Test
    void aServerThatIsNotThereIsUnavailable() {
        try (Client client = Client.connect("localhost:1")) {
            assertThrows(RpcException.Unavailable.class, client::serverInfo);
        }
    }

    @Test
    void aStartThatWasNotDeliveredIsRepeatedWithItsRequestId() throws IOException {
        List<String> requestIds = new CopyOnWriteArrayList<>();
        var tasks = new TaskServiceGrpc.TaskServiceImplBase() {
            @Override
            public void runTask(RunTaskRequest request, StreamObserver<TaskRun> answer) {
                requestIds.add(request.getRequestId());
                if (requestIds.size() < 3) {
                    answer.onError(Status.UNAVAILABLE.asRuntimeException());
                    return;
                }
                answer.onNext(TaskRun.getDefaultInstance());
                answer.onCompleted();
            }
        };
        try (FakeServer server = new FakeServer(tasks);
                Client client = Client.connect(server.address())) {
            client.task("a").run();
            assertEquals(3, requestIds.size());
            assertEquals(1, requestIds.stream().distinct().count());
            client.task("a").run();
            assertNotEquals(requestIds.get(0), requestIds.get(3));
        }
    }

    @Test
    void aClaimIsNotRepeated() throws IOException {
        var workers = new WorkerServiceGrpc.WorkerServiceImplBase() {
            @Override
            public void claimTaskRuns(ClaimTaskRunsRequest request, StreamObserver<ClaimTaskRunsResponse> answer) {
                answer.onError(Status.UNAVAILABLE.asRuntimeException());
            }
        };
        try (FakeServer server = new FakeServer(workers);
                Transport transport = new Transport(Client.builder(server.address()), Duration.ofSeconds(10))) {
            ClaimTaskRunsRequest claim = ClaimTaskRunsRequest.getDefaultInstance();
            assertThrows(
                    RpcException.Unavailable.class,
                    () -> transport.call(WorkerServiceGrpc.getClaimTaskRunsMethod(), claim));
            assertEquals(List.of("ClaimTaskRuns"), server.methods);
        }
    }

    @Test
    void whatIsRefusedIsNotRepeated() throws IOException {
        try (FakeServer server = new FakeServer(new Runs());
                Client client = Client.connect(server.address())) {
            assertThrows(RpcException.FailedPrecondition.class, () -> client.getRun("refused"));
            assertEquals(List.of("GetTaskRun"), server.methods);
            assertThrows(RpcException.Unimplemented.class, client::serverInfo);
        }
    }
}
