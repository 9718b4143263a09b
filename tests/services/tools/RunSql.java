import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/** Runs files of SQL in a small cluster of its own, as Flink's SQL client would; prints rows. */
public class RunSql {
    public static void main(String[] files) throws Exception {
        TableEnvironment flink = TableEnvironment.create(EnvironmentSettings.inBatchMode());
        for (String file : files) {
            for (String statement : Files.readString(Path.of(file)).split(";\\s*(\n|$)")) {
                try (var rows = flink.executeSql(statement).collect()) {
                    rows.forEachRemaining(System.out::println);
                }
            }
        }
    }
}
