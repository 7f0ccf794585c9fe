/* What the agent calls of netapi32.dll; Wine 8 has no NetUserSetInfo. It writes down the password, and knows one user. */
#include <windows.h>
#include <lm.h>
#include <stdio.h>

__declspec(dllexport) DWORD WINAPI NetUserSetInfo(LPCWSTR server, LPCWSTR user, DWORD level, LPBYTE info, LPDWORD where)
{
    if (wcscmp(user, L"known"))
        return NERR_UserNotFound;
    FILE *file = fopen("C:\\password.txt", "wb");
    LPCWSTR password = ((USER_INFO_1003 *)info)->usri1003_password;
    fprintf(file, "%lu ", level);
    fwrite(password, sizeof(WCHAR), wcslen(password), file);
    fclose(file);
    return NERR_Success;
}

__declspec(dllexport) DWORD WINAPI NetUserGetInfo(LPCWSTR server, LPCWSTR user, DWORD level, LPBYTE *info)
{
    return NERR_UserNotFound;
}

__declspec(dllexport) DWORD WINAPI NetApiBufferFree(LPVOID buffer)
{
    return NERR_Success;
}
