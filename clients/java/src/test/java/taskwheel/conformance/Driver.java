package taskwheel.conformance;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** The driver of Java for the table of behaviours: see tests/conformance/README.md. */
public final class Driver {
    private Driver() {}

    /** Answers line after line until the input ends. */
    public static void main(String[] arguments) throws IOException {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream output = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        Verbs verbs = new Verbs();
        verbs.answer("connect", Arguments.of(parse(input.readLine())));
        write(output, Answers.ok("{\"language\": \"java\"}"));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            JsonObject step = parse(line);
            String verb = step.get("do").getAsString();
            JsonObject given = step.has("args") ? step.getAsJsonObject("args") : new JsonObject();
            Arguments args = Arguments.of(given);
            if (step.has("as")) {
                verbs.begin(step.get("as").getAsString(), verb, args);
                write(output, Answers.ok("null"));
            } else if (verb.equals("join")) {
                write(output, verbs.join(args));
            } else {
                write(output, verbs.answer(verb, args));
            }
        }
        verbs.answer("reset", Arguments.of(new JsonObject()));
        System.exit(0);
    }

    private static JsonObject parse(String line) {
        return JsonParser.parseString(line).getAsJsonObject();
    }

    private static void write(PrintStream output, String answer) {
        output.print(answer + "\n");
        output.flush();
    }
}
