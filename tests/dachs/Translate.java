import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import adql.db.DBChecker;
import adql.db.DBType;
import adql.db.DBType.DBDatatype;
import adql.db.DefaultDBColumn;
import adql.db.DefaultDBTable;
import adql.parser.ADQLParser;
import adql.translator.PgSphereTranslator;

/** ADQL to SQL by the CDS's library: reads tables as lines of a TAP_SCHEMA, then queries; writes a line for each. */
public class Translate {
    public static void main(String[] arguments) throws Exception {
        Map<String, DefaultDBTable> tables = new LinkedHashMap<>();
        List<String> queries = new ArrayList<>();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\t");
            if (words.length == 1) {
                queries.add(line);
                continue;
            }
            String[] name = words[0].split("\\.");
            DefaultDBTable table = tables.computeIfAbsent(
                words[0], key -> new DefaultDBTable(null, null, words[1], name[0], words[2], name[1]));
            table.addColumn(new DefaultDBColumn(
                words[4], words[3].replace("\"", ""), new DBType(DBDatatype.valueOf(words[5])), table));
        }
        for (String query : queries) {
            ADQLParser parser = new ADQLParser(new DBChecker(tables.values()));
            String sql = new PgSphereTranslator().translate(parser.parseQuery(query));
            System.out.println(sql.replaceAll("\\s+", " "));
        }
    }
}
