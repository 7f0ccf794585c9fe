/*
 * A shadow copy service that does nothing but tell: each call goes to C:\vss.log, objects are counted, and C:\vss.txt
 * says what shall go wrong ("fail CALL HRESULT", "hang CALL", "hold MILLISECONDS").
 *
 * The tables of functions are those of mingw's headers, so that their order is not the requester's own idea of it.
 */
#define COBJMACROS
#define CINTERFACE
#include <initguid.h>
#include <windows.h>
#include <stdio.h>
#include <vss.h>
#include <vswriter.h>
#include <vsbackup.h>
#include <vsserror.h>

static LONG live;
static char fail_call[64], hang_call[64];
static unsigned fail_result;
static unsigned hold_limit;

static void tell(const char *format, ...)
{
    char line[512];
    DWORD written;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line - 2, format, args);
    va_end(args);
    line[length++] = '\n';
    HANDLE file = CreateFileA("C:\\vss.log", FILE_APPEND_DATA, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_ALWAYS, 0, NULL);
    WriteFile(file, line, length, &written, NULL);
    CloseHandle(file);
}

static void read_orders(void)
{
    fail_call[0] = hang_call[0] = 0;
    hold_limit = 10000;
    FILE *file = fopen("C:\\vss.txt", "r");
    char line[128];
    while (file && fgets(line, sizeof line, file)) {
        sscanf(line, "fail %63s %x", fail_call, &fail_result);
        sscanf(line, "hang %63s", hang_call);
        sscanf(line, "hold %u", &hold_limit);
    }
    if (file)
        fclose(file);
}

static HRESULT result_of(const char *call)
{
    tell("%s", call);
    return strcmp(call, fail_call) ? S_OK : (HRESULT)fail_result;
}

/* Counting of references is the same for all: a table, a count, a name. */
struct object {
    const void *table;
    LONG references;
    const char *name;
    HRESULT status;
    HANDLE frozen, thaw;
};

static void *create(const void *table, const char *name)
{
    struct object *made = calloc(1, sizeof *made);
    made->table = table;
    made->references = 1;
    made->name = name;
    InterlockedIncrement(&live);
    return made;
}

static ULONG add_reference(struct object *object)
{
    return InterlockedIncrement(&object->references);
}

static ULONG release_reference(struct object *object)
{
    LONG left = InterlockedDecrement(&object->references);
    if (left == 0) {
        tell("~%s live=%ld", object->name, InterlockedDecrement(&live));
        free(object);
    }
    return left;
}

#define UNKNOWN(type, prefix) \
    static HRESULT STDMETHODCALLTYPE prefix##_query(type *This, REFIID id, void **out) { *out = NULL; return E_NOINTERFACE; } \
    static ULONG STDMETHODCALLTYPE prefix##_add(type *This) { return add_reference((struct object *)This); } \
    static ULONG STDMETHODCALLTYPE prefix##_release(type *This) { return release_reference((struct object *)This); }

UNKNOWN(IVssAsync, async)
UNKNOWN(IVssWMComponent, component)
UNKNOWN(IVssExamineWriterMetadata, metadata)
UNKNOWN(IVssBackupComponents, backup)

/* Operations */

static HRESULT STDMETHODCALLTYPE async_cancel(IVssAsync *This)
{
    tell("Cancel");
    return S_OK;
}

static HRESULT STDMETHODCALLTYPE async_query_status(IVssAsync *This, HRESULT *status, INT *reserved)
{
    if (!strcmp("QueryStatus", fail_call))
        return (HRESULT)fail_result;
    *status = ((struct object *)This)->status;
    return S_OK;
}

static const IVssAsyncVtbl async_table = {
    .QueryInterface = async_query,
    .AddRef = async_add,
    .Release = async_release,
    .Cancel = async_cancel,
    .QueryStatus = async_query_status,
};

/* Starts an operation that has ended, hangs, or fails later ("fail NAME.end"). */
static HRESULT start(const char *name, IVssAsync **out)
{
    char end[80];
    HRESULT result = result_of(name);
    *out = NULL;
    if (FAILED(result))
        return result;
    struct object *operation = create(&async_table, "async");
    snprintf(end, sizeof end, "%s.end", name);
    operation->status = !strcmp(name, hang_call) ? VSS_S_ASYNC_PENDING
        : !strcmp(end, fail_call) ? (HRESULT)fail_result : VSS_S_ASYNC_FINISHED;
    *out = (IVssAsync *)operation;
    return S_OK;
}

/* Writers */

static HRESULT STDMETHODCALLTYPE component_info(IVssWMComponent *This, PVSSCOMPONENTINFO *out)
{
    HRESULT result = result_of("GetComponentInfo");
    *out = NULL;
    if (FAILED(result))
        return result;
    VSS_COMPONENTINFO *info = calloc(1, sizeof *info);
    info->type = VSS_CT_DATABASE;
    info->bstrLogicalPath = SysAllocString(L"path");
    info->bstrComponentName = SysAllocString(L"database");
    info->bSelectable = 1;
    InterlockedIncrement(&live);
    *out = info;
    return S_OK;
}

static HRESULT STDMETHODCALLTYPE component_free_info(IVssWMComponent *This, PVSSCOMPONENTINFO info)
{
    SysFreeString(info->bstrLogicalPath);
    SysFreeString(info->bstrComponentName);
    free((void *)info);
    tell("~info live=%ld", InterlockedDecrement(&live));
    return S_OK;
}

static const IVssWMComponentVtbl component_table = {
    .QueryInterface = component_query,
    .AddRef = component_add,
    .Release = component_release,
    .GetComponentInfo = component_info,
    .FreeComponentInfo = component_free_info,
};

static HRESULT STDMETHODCALLTYPE metadata_identity(IVssExamineWriterMetadata *This, VSS_ID *instance, VSS_ID *writer,
    BSTR *name, VSS_USAGE_TYPE *usage, VSS_SOURCE_TYPE *source)
{
    HRESULT result = result_of("GetIdentity");
    if (SUCCEEDED(result)) {
        instance->Data1 = 0x11111111;
        writer->Data1 = 0x22222222;
        *name = SysAllocString(L"Test Writer");
    }
    return result;
}

static HRESULT STDMETHODCALLTYPE metadata_counts(IVssExamineWriterMetadata *This, UINT *includes, UINT *excludes, UINT *components)
{
    *includes = *excludes = 0;
    *components = 1;
    return result_of("GetFileCounts");
}

static HRESULT STDMETHODCALLTYPE metadata_component(IVssExamineWriterMetadata *This, UINT index, IVssWMComponent **out)
{
    HRESULT result = result_of("GetComponent");
    *out = SUCCEEDED(result) ? create(&component_table, "component") : NULL;
    return result;
}

static const IVssExamineWriterMetadataVtbl metadata_table = {
    .QueryInterface = metadata_query,
    .AddRef = metadata_add,
    .Release = metadata_release,
    .GetIdentity = metadata_identity,
    .GetFileCounts = metadata_counts,
    .GetComponent = metadata_component,
};

/* The requester's own interface */

static HRESULT STDMETHODCALLTYPE backup_initialize(IVssBackupComponents *This, BSTR xml)
{
    return result_of("InitializeForBackup");
}

static HRESULT STDMETHODCALLTYPE backup_state(IVssBackupComponents *This, boolean select, boolean bootable, VSS_BACKUP_TYPE type, boolean partial)
{
    tell("state %d %d %d %d", select, bootable, type, partial);
    return result_of("SetBackupState");
}

static HRESULT STDMETHODCALLTYPE backup_context(IVssBackupComponents *This, LONG context)
{
    tell("context %lx", context);
    if (!strcmp(fail_call, "SetContext") && (HRESULT)fail_result == VSS_E_UNSUPPORTED_CONTEXT && !(context & 0x20))
        return S_OK;
    return result_of("SetContext");
}

static HRESULT STDMETHODCALLTYPE backup_gather_metadata(IVssBackupComponents *This, IVssAsync **out)
{
    return start("GatherWriterMetadata", out);
}

static HRESULT STDMETHODCALLTYPE backup_metadata_count(IVssBackupComponents *This, UINT *count)
{
    *count = 1;
    return result_of("GetWriterMetadataCount");
}

static HRESULT STDMETHODCALLTYPE backup_metadata(IVssBackupComponents *This, UINT index, VSS_ID *instance, IVssExamineWriterMetadata **out)
{
    HRESULT result = result_of("GetWriterMetadata");
    *out = SUCCEEDED(result) ? create(&metadata_table, "metadata") : NULL;
    return result;
}

static HRESULT STDMETHODCALLTYPE backup_free_metadata(IVssBackupComponents *This)
{
    return result_of("FreeWriterMetadata");
}

static HRESULT STDMETHODCALLTYPE backup_add_component(IVssBackupComponents *This, VSS_ID instance, VSS_ID writer, VSS_COMPONENT_TYPE type, LPCWSTR path, LPCWSTR name)
{
    tell("component %lx %lx %d %ls %ls", instance.Data1, writer.Data1, type, path, name);
    return result_of("AddComponent");
}

static HRESULT STDMETHODCALLTYPE backup_prepare(IVssBackupComponents *This, IVssAsync **out)
{
    return start("PrepareForBackup", out);
}

static HRESULT STDMETHODCALLTYPE backup_abort(IVssBackupComponents *This)
{
    return result_of("AbortBackup");
}

static HRESULT STDMETHODCALLTYPE backup_gather_status(IVssBackupComponents *This, IVssAsync **out)
{
    return start("GatherWriterStatus", out);
}

static HRESULT STDMETHODCALLTYPE backup_status_count(IVssBackupComponents *This, UINT *count)
{
    *count = 2;
    return S_OK;
}

static HRESULT STDMETHODCALLTYPE backup_status(IVssBackupComponents *This, UINT index, VSS_ID *instance, VSS_ID *writer, BSTR *name, VSS_WRITER_STATE *state, HRESULT *failure)
{
    *name = SysAllocString(index ? L"Broken Writer" : L"Good Writer");
    *state = index ? VSS_WS_FAILED_AT_FREEZE : VSS_WS_STABLE;
    *failure = index ? VSS_E_WRITERERROR_TIMEOUT : S_OK;
    return S_OK;
}

static HRESULT STDMETHODCALLTYPE backup_free_status(IVssBackupComponents *This)
{
    return S_OK;
}

static HRESULT STDMETHODCALLTYPE backup_start_set(IVssBackupComponents *This, VSS_ID *set)
{
    return result_of("StartSnapshotSet");
}

static HRESULT STDMETHODCALLTYPE backup_add_volume(IVssBackupComponents *This, VSS_PWSZ volume, VSS_ID provider, VSS_ID *snapshot)
{
    tell("volume %ls %lx", volume, provider.Data1);
    return result_of("AddToSnapshotSet");
}

/* What the provider does in CommitSnapshots. */
static DWORD WINAPI hold(void *data)
{
    struct object *operation = data;
    HRESULT result = VSS_S_ASYNC_FINISHED;
    if (!strcmp(hang_call, "DoSnapshotSet"))
        return 0;
    SetEvent(operation->frozen);
    if (WaitForSingleObject(operation->thaw, hold_limit) != WAIT_OBJECT_0)
        result = VSS_E_HOLD_WRITES_TIMEOUT;
    else if (!strcmp(fail_call, "DoSnapshotSet.end"))
        result = (HRESULT)fail_result;
    tell(result == VSS_S_ASYNC_FINISHED ? "thawed" : "ended %lx", result);
    operation->status = result;
    release_reference(operation);
    return 0;
}

static HRESULT STDMETHODCALLTYPE backup_do_set(IVssBackupComponents *This, IVssAsync **out)
{
    HRESULT result = start("DoSnapshotSet", out);
    if (FAILED(result))
        return result;
    struct object *operation = (struct object *)*out;
    operation->status = VSS_S_ASYNC_PENDING;
    operation->frozen = OpenEventA(EVENT_ALL_ACCESS, FALSE, "Global\\QGAVSSEvent-frozen");
    operation->thaw = OpenEventA(EVENT_ALL_ACCESS, FALSE, "Global\\QGAVSSEvent-thaw");
    if (!strcmp(fail_call, "early")) {
        operation->status = VSS_S_ASYNC_FINISHED;
        return S_OK;
    }
    if (strcmp(hang_call, "DoSnapshotSet"))
        add_reference(operation);
    CloseHandle(CreateThread(NULL, 0, hold, operation, 0, NULL));
    return S_OK;
}

static HRESULT STDMETHODCALLTYPE backup_complete(IVssBackupComponents *This, IVssAsync **out)
{
    return start("BackupComplete", out);
}

static const IVssBackupComponentsVtbl backup_table = {
    .QueryInterface = backup_query,
    .AddRef = backup_add,
    .Release = backup_release,
    .InitializeForBackup = backup_initialize,
    .SetBackupState = backup_state,
    .GatherWriterMetadata = backup_gather_metadata,
    .GetWriterMetadataCount = backup_metadata_count,
    .GetWriterMetadata = backup_metadata,
    .FreeWriterMetadata = backup_free_metadata,
    .AddComponent = backup_add_component,
    .PrepareForBackup = backup_prepare,
    .AbortBackup = backup_abort,
    .GatherWriterStatus = backup_gather_status,
    .GetWriterStatusCount = backup_status_count,
    .FreeWriterStatus = backup_free_status,
    .GetWriterStatus = backup_status,
    .BackupComplete = backup_complete,
    .SetContext = backup_context,
    .StartSnapshotSet = backup_start_set,
    .AddToSnapshotSet = backup_add_volume,
    .DoSnapshotSet = backup_do_set,
};

__declspec(dllexport) HRESULT WINAPI CreateVssBackupComponentsInternal(IVssBackupComponents **out)
{
    read_orders();
    HRESULT result = result_of("CreateVssBackupComponents");
    *out = SUCCEEDED(result) ? create(&backup_table, "backup") : NULL;
    return result;
}
