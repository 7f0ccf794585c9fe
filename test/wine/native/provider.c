/* Stands for a provider that cannot be registered. */
#include <windows.h>

__declspec(dllexport) HRESULT COMRegister(void)
{
    return E_ACCESSDENIED;
}

__declspec(dllexport) HRESULT COMUnregister(void)
{
    return S_OK;
}
