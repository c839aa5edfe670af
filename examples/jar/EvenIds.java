import java.time.Duration;
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
 * The job of even_ids.py on the DataStream API: keep the rows with an even id and number them.
 *
 * <p>{"id": 2, "value": "b"} becomes {"id": 2, "value": "b", "count": 1}. The count is keyed state, so a state that was
 * lost, or restored twice, shows as a gap or a repetition (check_even_ids.py).
 *
 * <p>Every stateful operator has a uid: savepoints are matched by it, also after the program has changed and at another
 * parallelism (Flink docs, "Savepoints": Assigning Operator IDs).
 */
public final class EvenIds {
    private static final Pattern ROW = Pattern.compile("^\\{\"id\": ?(\\d+), ?(.*)}\\s*$");

    private EvenIds() {}

    public static void main(String[] args) throws Exception {
        if (args.length != 4 || !args[0].equals("--input") || !args[2].equals("--output")) {
            throw new IllegalArgumentException("usage: --input DIRECTORY --output DIRECTORY");
        }
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        FileSource<String> source =
                FileSource.forRecordStreamFormat(new TextLineInputFormat(), new Path(args[1]))
                        .monitorContinuously(Duration.ofMillis(500))
                        .build();
        FileSink<String> sink =
                FileSink.forRowFormat(new Path(args[3]), new SimpleStringEncoder<String>("UTF-8"))
                        .withBucketAssigner(new BasePathBucketAssigner<>())
                        .withRollingPolicy(OnCheckpointRollingPolicy.build())
                        .build();
        env.fromSource(source, WatermarkStrategy.noWatermarks(), "rows")
                .uid("rows")
                .filter(EvenIds::even)
                .name("even ids")
                .uid("even-ids")
                .keyBy(row -> 0)
                .process(new Numbered())
                .name("numbered")
                .uid("numbered")
                // One key has one subtask, so committed rows are always a prefix 1..N.
                .setParallelism(1)
                .returns(Types.STRING)
                .sinkTo(sink)
                .uid("sink")
                .setParallelism(1);
        env.execute();
    }

    private static boolean even(String row) {
        Matcher match = ROW.matcher(row);
        return match.matches() && Long.parseLong(match.group(1)) % 2 == 0;
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
