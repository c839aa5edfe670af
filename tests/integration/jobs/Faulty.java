import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.serialization.SimpleStringEncoder;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.connector.file.src.FileSource;
import org.apache.flink.connector.file.src.reader.TextLineInputFormat;
import org.apache.flink.core.fs.Path;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.filesystem.bucketassigners.BasePathBucketAssigner;
import org.apache.flink.streaming.api.functions.sink.filesystem.rollingpolicies.OnCheckpointRollingPolicy;
import org.apache.flink.util.Collector;

/**
 * EvenIds with a mood: one word in a file, read for every row, says how it behaves from now on.
 *
 * <p>die: its main() fails; fail: each row fails; stall: no row and no checkpoint gets through; anything else: well.
 * Operators and state have the names of EvenIds, so that one can start from the other's savepoints; the mood has state
 * of its own, which EvenIds does not know. With --bounded the job ends with its input.
 */
public final class Faulty {
    private static final Pattern ROW = Pattern.compile("^\\{\"id\": ?(\\d+), ?(.*)}\\s*$");

    private Faulty() {}

    public static void main(String[] args) throws Exception {
        List<String> given = Arrays.asList(args);
        String mood = after(given, "--mood");
        if (read(mood).equals("die")) {
            throw new IllegalStateException("it was told to die");
        }
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        FileSource.FileSourceBuilder<String> source =
                FileSource.forRecordStreamFormat(new TextLineInputFormat(), new Path(after(given, "--input")));
        if (!given.contains("--bounded")) {
            source.monitorContinuously(Duration.ofMillis(500));
        }
        FileSink<String> sink =
                FileSink.forRowFormat(new Path(after(given, "--output")), new SimpleStringEncoder<String>("UTF-8"))
                        .withBucketAssigner(new BasePathBucketAssigner<>())
                        .withRollingPolicy(OnCheckpointRollingPolicy.build())
                        .build();
        env.fromSource(source.build(), WatermarkStrategy.noWatermarks(), "rows")
                .uid("rows")
                .keyBy(row -> 0)
                .process(new Mood(mood))
                .uid("mood")
                .setParallelism(1)
                .returns(Types.STRING)
                .filter(Faulty::even)
                .uid("even-ids")
                .setParallelism(1)
                .keyBy(row -> 0)
                .process(new Numbered())
                .uid("numbered")
                .setParallelism(1)
                .returns(Types.STRING)
                .sinkTo(sink)
                .uid("sink")
                .setParallelism(1);
        env.execute();
    }

    private static String after(List<String> given, String name) {
        return given.get(given.indexOf(name) + 1);
    }

    private static String read(String file) {
        try {
            return Files.readString(Paths.get(file)).trim();
        } catch (IOException missing) {
            return "";
        }
    }

    private static boolean even(String row) {
        Matcher match = ROW.matcher(row);
        return match.matches() && Long.parseLong(match.group(1)) % 2 == 0;
    }

    /** Passes rows on, if it feels like it. */
    private static final class Mood extends KeyedProcessFunction<Integer, String, String> {
        private static final long serialVersionUID = 1L;

        private final String file;
        private transient ValueState<Long> rows;

        Mood(String file) {
            this.file = file;
        }

        @Override
        public void open(OpenContext context) {
            rows = getRuntimeContext().getState(new ValueStateDescriptor<>("rows", Types.LONG));
        }

        @Override
        public void processElement(String row, Context context, Collector<String> out) throws Exception {
            while (read(file).equals("stall")) {
                Thread.sleep(50);
            }
            if (read(file).equals("fail")) {
                throw new IllegalStateException("it was told to fail");
            }
            rows.update(rows.value() == null ? 1 : rows.value() + 1);
            out.collect(row);
        }
    }

    /** Adds a running count to each row. */
    private static final class Numbered extends KeyedProcessFunction<Integer, String, String> {
        private static final long serialVersionUID = 1L;

        private transient ValueState<Long> count;

        @Override
        public void open(OpenContext context) {
            count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.LONG));
        }

        @Override
        public void processElement(String row, Context context, Collector<String> out) throws Exception {
            long next = count.value() == null ? 1 : count.value() + 1;
            count.update(next);
            Matcher match = ROW.matcher(row);
            if (match.matches()) {
                out.collect("{\"id\": " + match.group(1) + ", " + match.group(2) + ", \"count\": " + next + "}");
            }
        }
    }
}
