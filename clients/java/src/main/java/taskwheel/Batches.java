package taskwheel;

import java.util.ArrayList;
import java.util.List;
import java.util.function.ToIntFunction;

/** Runs to start, in batches that the server takes. */
final class Batches {
    /** The bounds of one BatchRunTasks; a whole message may have 4 MiB. */
    private static final int BATCH_RUNS = 1000;

    private static final int BATCH_BYTES = 3 << 20;

    private Batches() {}

    /**
     * Cuts a list into batches.
     *
     * @param size how many bytes the RunTaskRequest of an item has
     */
    static <T> List<List<T>> of(List<T> items, ToIntFunction<T> size) {
        List<List<T>> batches = new ArrayList<>();
        int begin = 0;
        int total = 0;
        for (int end = 0; end < items.size(); end++) {
            int weight = size.applyAsInt(items.get(end)) + 8;
            if (end - begin == BATCH_RUNS || (end > begin && total + weight > BATCH_BYTES)) {
                batches.add(items.subList(begin, end));
                begin = end;
                total = 0;
            }
            total += weight;
        }
        if (begin < items.size()) {
            batches.add(items.subList(begin, items.size()));
        }
        return batches;
    }
}
