/* The floor of the acs-link bench: libxml2's stream reader over the same document, compiled by the bench itself.
 * It visits every element, attribute and text and touches each value; it checks nothing beyond well-formedness.
 * Usage: stream_reader FILE COUNT. Prints nanoseconds for one document. */
#include <libxml/xmlreader.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static unsigned long touch(const xmlChar *text) {
    unsigned long sum = 0;
    for (; text && *text; text++) sum = sum * 31 + *text;
    return sum;
}

static unsigned long walk(xmlTextReaderPtr reader, const char *text, int length) {
    unsigned long sum = 0;
    if (xmlReaderNewMemory(reader, text, length, NULL, NULL, XML_PARSE_NONET) != 0) exit(2);
    int more;
    while ((more = xmlTextReaderRead(reader)) == 1) {
        int type = xmlTextReaderNodeType(reader);
        if (type == XML_READER_TYPE_ELEMENT) {
            sum += touch(xmlTextReaderConstLocalName(reader));
            sum += touch(xmlTextReaderConstNamespaceUri(reader));
            while (xmlTextReaderMoveToNextAttribute(reader) == 1) {
                sum += touch(xmlTextReaderConstLocalName(reader));
                sum += touch(xmlTextReaderConstValue(reader));
            }
        } else if (type == XML_READER_TYPE_TEXT) {
            sum += touch(xmlTextReaderConstValue(reader));
        }
    }
    if (more != 0) exit(3);
    return sum;
}

int main(int argc, char **argv) {
    if (argc != 3) return 1;
    FILE *file = fopen(argv[1], "rb");
    if (!file) return 1;
    char text[65536];
    int length = (int)fread(text, 1, sizeof text, file);
    fclose(file);
    long count = atol(argv[2]);
    xmlTextReaderPtr reader = xmlReaderForMemory(text, length, NULL, NULL, XML_PARSE_NONET);
    if (!reader) return 1;
    unsigned long sum = 0;
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (long i = 0; i < count; i++) sum += walk(reader, text, length);
    clock_gettime(CLOCK_MONOTONIC, &to);
    double ns = (to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec);
    printf("%.1f %lu\n", ns / count, sum);
    xmlFreeTextReader(reader);
    return 0;
}
