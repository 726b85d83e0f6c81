/* The loader of TensorFlow Serving without Python: TensorFlow's C API over the C++ library in its wheel.

   capi MODEL images INPUT OUTPUTS HEIGHT WIDTH CHANNELS < float32     the batch is what stdin holds
   capi MODEL files INPUT OUTPUTS FILE...

   INPUT and OUTPUTS (separated by commas) are names of tensors, "operation:index". A line of text for each output,
   tab between the values; of an error, its code is the exit status. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

static void check(TF_Status *status) {
    if (TF_GetCode(status) == TF_OK) return;
    fprintf(stderr, "%s\n", TF_Message(status));
    exit(TF_GetCode(status));
}

static TF_Output find(TF_Graph *graph, char *name) {
    char *colon = strrchr(name, ':');
    *colon = 0;
    TF_Output found = {TF_GraphOperationByName(graph, name), atoi(colon + 1)};
    if (found.oper) return found;
    fprintf(stderr, "no operation %s\n", name);
    exit(100);
}

static char *read_all(FILE *file, size_t *size) {
    size_t room = 1 << 16;
    char *bytes = malloc(room);
    *size = 0;
    for (size_t n; (n = fread(bytes + *size, 1, room - *size, file)) > 0;)
        if ((*size += n) == room) bytes = realloc(bytes, room *= 2);
    return bytes;
}

static TF_Tensor *images(char **shape) {
    size_t size;
    char *bytes = read_all(stdin, &size);
    int64_t dims[4] = {0, atoi(shape[0]), atoi(shape[1]), atoi(shape[2])};
    dims[0] = size / (4 * dims[1] * dims[2] * dims[3]);
    TF_Tensor *tensor = TF_AllocateTensor(TF_FLOAT, dims, 4, size);
    memcpy(TF_TensorData(tensor), bytes, size);
    return tensor;
}

static TF_Tensor *files(char **paths, int count) {
    int64_t dims[1] = {count};
    TF_Tensor *tensor = TF_AllocateTensor(TF_STRING, dims, 1, count * sizeof(TF_TString));
    TF_TString *strings = TF_TensorData(tensor);
    for (int i = 0; i < count; i++) {
        FILE *file = fopen(paths[i], "rb");
        size_t size;
        char *bytes = read_all(file, &size);
        TF_StringInit(&strings[i]);
        TF_StringCopy(&strings[i], bytes, size);
        fclose(file);
        free(bytes);
    }
    return tensor;
}

static void print(TF_Tensor *tensor) {
    for (int64_t i = 0; i < TF_TensorElementCount(tensor); i++) {
        void *data = TF_TensorData(tensor);
        switch (TF_TensorType(tensor)) {
            case TF_FLOAT: printf("%.9g\t", ((float *)data)[i]); break;
            case TF_INT32: printf("%d\t", ((int *)data)[i]); break;
            default: {
                TF_TString *string = &((TF_TString *)data)[i];
                printf("%.*s\t", (int)TF_StringGetSize(string), TF_StringGetDataPointer(string));
            }
        }
    }
    printf("\n");
}

int main(int argc, char **argv) {
    TF_Status *status = TF_NewStatus();
    TF_Graph *graph = TF_NewGraph();
    const char *tags[] = {"serve"};
    TF_Session *session =
        TF_LoadSessionFromSavedModel(TF_NewSessionOptions(), NULL, argv[1], tags, 1, graph, NULL, status);
    check(status);
    TF_Output input = find(graph, argv[3]), outputs[8];
    int count = 0;
    for (char *name = strtok(argv[4], ","); name; name = strtok(NULL, ",")) outputs[count++] = find(graph, name);
    TF_Tensor *value = strcmp(argv[2], "images") ? files(argv + 5, argc - 5) : images(argv + 5);
    TF_Tensor *results[8];
    TF_SessionRun(session, NULL, &input, &value, 1, outputs, results, count, NULL, 0, NULL, status);
    check(status);
    for (int i = 0; i < count; i++) print(results[i]);
    return 0;
}
