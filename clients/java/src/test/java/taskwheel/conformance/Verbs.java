package taskwheel.conformance;

import com.google.gson.JsonArray;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import taskwheel.Client;
import taskwheel.TaskHandle;
import taskwheel.Worker;

/** The verbs of the driver: each one call of the client's public API. */
final class Verbs {
    private record Working(Worker worker, CompletableFuture<Void> end) {}

    private final ExecutorService threads = Executors.newCachedThreadPool(work -> {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        return thread;
    });
    private Map<String, Stream> streams = new HashMap<>();
    private Map<String, CompletableFuture<String>> background = new HashMap<>();
    private Deque<Working> workers = new ArrayDeque<>();
    private Gates gates = new Gates();
    private String target;
    private Client client;

    /** Lets a step go on beside the others. */
    void begin(String name, String verb, Arguments args) {
        background.put(name, CompletableFuture.supplyAsync(() -> answer(verb, args), threads));
    }

    /** The answer of a step that began so. */
    String join(Arguments args) {
        String name = args.text("of");
        try {
            return background.get(name).get(args.seconds("timeout", 20).toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException | InterruptedException | ExecutionException error) {
            return Answers.error(new IllegalStateException(name + " has not ended", error));
        }
    }

    String answer(String verb, Arguments args) {
        try {
            return Answers.ok(call(verb, args));
        } catch (UnsupportedOperationException why) {
            return Answers.unsupported(why.getMessage());
        } catch (Exception error) { // the runner judges it
            return Answers.error(error);
        }
    }

    private Object call(String verb, Arguments args) throws Exception {
        return switch (verb) {
            case "connect" -> connect(args);
            case "create_task" -> client.createTask(Requests.createTask(args));
            case "get_task" -> task(args).get();
            case "list_tasks" -> all(client.listTasks(Requests.listTasks(args)), args);
            case "update_task" -> task(args).update(Requests.updateTask(args));
            case "rename_task" -> task(args).rename(args.text("new_task_id"));
            case "pause_task" -> task(args).pause(args.text("reason"));
            case "resume_task" -> task(args).resume();
            case "delete_task" -> done(() -> task(args).delete(Requests.deleteTask(args)));
            case "preview" -> client.preview(Requests.preview(args));
            case "backfill" -> task(args).backfill(Requests.backfill(args));
            case "run" -> run(args);
            case "run_many" -> client.runMany(
                    args.each("runs").stream().map(run -> Requests.run(run).build()).toList());
            case "run_together" -> runTogether(args);
            case "run_with_result" -> task(args)
                    .runWithResult(args.has("payload") ? args.payload() : null, args.seconds("timeout", 60));
            case "get_run" -> client.getRun(Requests.getRun(args));
            case "wait" -> client.waitFor(Requests.waitFor(args), args.seconds("timeout", 60));
            case "cancel" -> client.cancel(Requests.cancel(args));
            case "get_task_status" -> args.has("task")
                    ? task(args).getTaskStatus(args.text("id"))
                    : client.getTaskStatus(args.text("id"));
            case "list_runs" -> all(client.listRuns(Requests.listRuns(args)), args);
            case "list_events" -> all(client.listEvents(Requests.listEvents(args)), args);
            case "watch" -> stream(args, new Stream(client.watchEvents(Requests.watch(args))));
            case "follow_logs" -> stream(args, new Stream(client.followLogs(Requests.followLogs(args))));
            case "next" -> streams.get(args.text("stream"))
                    .take(args.number("count", Integer.MAX_VALUE), args.seconds("timeout", 10));
            case "close" -> done(() -> streams.remove(args.text("stream")).close());
            case "server_info" -> client.serverInfo();
            case "start_worker" -> startWorker(args);
            case "stop_worker" -> stopWorker();
            case "open_gate" -> done(() -> gates.open(args.text("name")));
            case "reset" -> reset();
            default -> throw new UnsupportedOperationException("no verb " + verb);
        };
    }

    private static Object done(Runnable call) {
        call.run();
        return null;
    }

    private Object connect(Arguments args) {
        target = args.text("target");
        Client.Builder builder = Client.builder(target)
                .timeout(args.seconds("timeout", 10))
                .metadata(args.textsByName("metadata"));
        args.ifText("ca", certificates -> builder.tls(Path.of(certificates)));
        args.ifText("server_name", builder::serverName);
        client = builder.build();
        return Map.of("language", "java");
    }

    private TaskHandle task(Arguments args) {
        return client.task(args.text("task"));
    }

    private Object run(Arguments args) {
        return task(args).run(Requests.run(args));
    }

    private static <T> List<T> all(Iterable<T> items, Arguments args) {
        List<T> found = new ArrayList<>();
        for (T item : items) {
            found.add(item);
            if (found.size() == args.number("limit", -1)) {
                break;
            }
        }
        return found;
    }

    private Object runTogether(Arguments args) throws InterruptedException {
        ExecutorService callers = Executors.newFixedThreadPool(32);
        List<CompletableFuture<Object>> runs = args.each("runs").stream()
                .map(run -> CompletableFuture.supplyAsync(() -> run(run), callers))
                .toList();
        JsonArray answers = new JsonArray();
        for (CompletableFuture<Object> run : runs) {
            try {
                answers.add(Answers.json(run.get()));
            } catch (ExecutionException error) {
                answers.add(Answers.errorObject(error.getCause()));
            }
        }
        callers.shutdown();
        return answers;
    }

    private Object stream(Arguments args, Stream stream) {
        streams.put(args.text("stream"), stream);
        return null;
    }

    private Object startWorker(Arguments args) {
        Worker.Builder builder = Worker.builder(args.has("target") ? args.text("target") : target)
                .maxConcurrentRuns(args.number("max_concurrent_runs", 10))
                .grace(args.seconds("grace", 5));
        args.ifText("worker_id", builder::workerId);
        args.textsByName("handlers").forEach((name, kind) -> builder.handler(name, Handlers.builtIn(kind, gates)));
        Worker worker = builder.build();
        workers.push(new Working(worker, worker.start()));
        return null;
    }

    private Object stopWorker() throws Exception {
        Working working = workers.pop();
        working.worker.close();
        try {
            return working.end.get(0, TimeUnit.SECONDS);
        } catch (ExecutionException refused) {
            throw (Exception) refused.getCause();
        }
    }

    private Object reset() {
        gates.openAll();
        background.values().forEach(step -> step.cancel(true));
        streams.values().forEach(Stream::close);
        workers.forEach(working -> working.worker.stop());
        workers.forEach(working -> working.worker.stop());
        workers.forEach(working -> working.worker.close());
        streams = new HashMap<>();
        background = new HashMap<>();
        workers = new ArrayDeque<>();
        gates = new Gates();
        return null;
    }
}
