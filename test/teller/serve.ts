import { serve } from "../../src/teller/server.ts";

// The page and the metrics alone, of a folder: serve-teller HOST:PORT FOLDER. Prints where it listens.
const server = await serve(process.argv[2]!, process.argv[3]!);
console.log(JSON.stringify(server.address()));
