package taskwheel.conformance;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import taskwheel.Handler;
import taskwheel.HandlerException;
import taskwheel.Run;
import taskwheel.v1.LogEntry;

/** The handlers that a driver's worker can register. */
final class Handlers {
    private Handlers() {}

    /** The built-in handler of this name. */
    static Handler builtIn(String kind, Gates gates) {
        return switch (kind) {
            case "echo" -> Run::payload;
            case "add" -> Handlers::add;
            case "inspect" -> Handlers::inspect;
            case "fail" -> Handlers::fail;
            case "fail_twice" -> run -> run.attempt() < 3 ? fail(run) : Map.of("attempt", run.attempt());
            case "crash" -> run -> List.of().get(run.attempt());
            case "unsupported" -> run -> new Object();
            case "big" -> run -> "x".repeat(((Number) run.payload().get("bytes")).intValue());
            case "log" -> Handlers::log;
            case "progress" -> run -> progress(run, gates);
            case "gate" -> run -> {
                run.log().info("begun");
                gates.await(gate(run));
                return run.payload();
            };
            case "stubborn" -> run -> {
                run.log().info("begun");
                gates.awaitStubbornly(gate(run));
                return run.payload();
            };
            default -> throw new IllegalArgumentException("no handler " + kind);
        };
    }

    private static Object add(Run run) {
        Object a = run.payload().get("a");
        Object b = run.payload().get("b");
        if (a instanceof Long first && b instanceof Long second) {
            return first + second;
        }
        return ((Number) a).doubleValue() + ((Number) b).doubleValue();
    }

    private static Object inspect(Run run) {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("uid", run.uid());
        found.put("task", run.task());
        found.put("handler", run.handler());
        found.put("attempt", run.attempt());
        found.put("tags", run.tags());
        found.put("labels", run.labels());
        found.put("payload", run.payload());
        return found;
    }

    private static Object fail(Run run) throws HandlerException {
        Map<String, Object> payload = run.payload();
        throw new HandlerException((String) payload.get("name"), (String) payload.get("message"));
    }

    @SuppressWarnings("unchecked")
    private static Object log(Run run) {
        List<Map<String, Object>> entries =
                (List<Map<String, Object>>) run.payload().get("entries");
        for (Map<String, Object> entry : entries) {
            LogEntry.Level level = LogEntry.Level.valueOf((String) entry.get("level"));
            Map<String, ?> fields = (Map<String, ?>) entry.getOrDefault("fields", Map.of());
            run.log().write(level, (String) entry.get("message"), fields);
        }
        return entries.size();
    }

    private static Object progress(Run run, Gates gates) throws InterruptedException {
        List<?> ratios = (List<?>) run.payload().get("ratios");
        for (Object ratio : ratios) {
            run.progress(((Number) ratio).doubleValue(), (String) run.payload().get("message"));
        }
        gates.await(gate(run));
        return ratios.get(ratios.size() - 1);
    }

    private static String gate(Run run) {
        return (String) run.payload().get("gate");
    }
}
